"""What must hold of jobs, read off the tables and the effect ledger. Pure; the numbers are those of the invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from ringback.jobs.states import LIVE, TERMINAL, Delivery, Effect, JobState, may_be_delivered, may_move
from ringback.leases.lease import LeaseTimes
from tests.chaos.evidence import Evidence, JobRow, JobStep, Violation


def check_jobs(run: Evidence) -> Iterator[Violation]:
    """Every violation, each with the job that shows it."""
    yield from _once_each(run)
    ended = {session for session, steps in run.sessions_of.items() if steps[-1].state == "ended"}
    for job in run.jobs:
        yield from _is_over(job, ended)
        yield from _steps(job, run.steps_of.get(job.id, []))
        yield from _effects(job, run)


def _once_each(run: Evidence) -> Iterator[Violation]:
    """I2. The ids of calls are unique in a whole run: the same in two sessions is a call that went astray."""
    for call_id, rows in Counter(job.call_id for job in run.jobs).items():
        if rows > 1:
            yield Violation("I2", f"the call {call_id} has {rows} jobs")


def _is_over(job: JobRow, ended: set[str]) -> Iterator[Violation]:
    """I1, I13."""
    if job.state in LIVE:
        yield Violation("I1", f"job {job.id} ({job.tool}) is still {job.state}")
    if job.session_id in ended and job.delivery == Delivery.READY:
        yield Violation("I13", f"job {job.id} is still ready, and its session has ended")


def _steps(job: JobRow, steps: list[JobStep]) -> Iterator[Violation]:
    """I3 (what is over stays over), I5 (as many claims as attempts)."""
    for before, after in pairwise(steps):
        if before.state != after.state and not may_move(JobState(before.state), JobState(after.state)):
            yield Violation("I3", f"job {job.id} went from {before.state} to {after.state}")
        if before.delivery != after.delivery and not may_be_delivered(
            Delivery(before.delivery), Delivery(after.delivery)
        ):
            yield Violation("I3", f"the answer of job {job.id} went from {before.delivery} to {after.delivery}")
    claims = sum(
        after.state == JobState.RUNNING and before.state != JobState.RUNNING for before, after in pairwise(steps)
    )
    if claims != job.attempt:
        yield Violation("I5", f"job {job.id} was claimed {claims} times and has {job.attempt} attempts")
    if job.attempt > job.most_attempts + job.rescues:
        yield Violation("I5", f"job {job.id} had {job.attempt} attempts of {job.most_attempts} + {job.rescues}")


def _effects(job: JobRow, run: Evidence) -> Iterator[Violation]:
    """I5 (an attempt runs once), I6 (at most once), I7 (what succeeded has happened), I9 (with its own arguments)."""
    effects = run.effects_of.get(job.id, [])
    for earlier, later in pairwise(effects):
        # A claim is committed lazily: Postgres may forget it in a crash, and hands the attempt out once more. Whoever
        # had it may come to run it only after the crash: it asks nobody before that.
        forgotten = any(earlier.at - LeaseTimes().stop_after <= crash <= later.at for crash in run.crashes)
        if earlier.attempt == later.attempt and not forgotten:
            yield Violation("I5", f"attempt {later.attempt} of job {job.id} ran twice")
    if job.effect == Effect.AT_MOST_ONCE:
        if len(effects) > 1:
            yield Violation("I6", f"job {job.id} ({job.tool}) had its effect {len(effects)} times")
        if effects and not job.effect_started:
            yield Violation("I7", f"job {job.id} had its effect, and its row does not say that it began")
        if effects and job.state in TERMINAL - {JobState.SUCCEEDED, JobState.UNKNOWN}:
            yield Violation("I7", f"job {job.id} had its effect, and its row says {job.state}")
    if job.state == JobState.SUCCEEDED and not effects:
        yield Violation("I7", f"job {job.id} succeeded, and nothing was done")
    wanted = (job.arguments or {}).get("canary") if isinstance(job.arguments, dict) else None
    strange = {effect.canary for effect in effects} - {wanted}
    if strange or any(effect.session != job.session_id for effect in effects):
        yield Violation("I9", f"job {job.id} ran with {strange or 'another session'} instead of {wanted}")
    if job.state == JobState.SUCCEEDED and job.result.get("canary") != wanted:
        yield Violation("I9", f"job {job.id} has the result of {job.result.get('canary')} instead of {wanted}")
