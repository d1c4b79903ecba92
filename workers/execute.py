"""One job: claim, run, finish. The message brought its id, and the row brings everything else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.exc import DataError, SQLAlchemyError

from ringback.calls import Call
from ringback.errors import ToolError
from ringback.jobs import Delivery, Effect, JobState
from ringback.outcomes import Outcome, cancelled, failed, succeeded
from ringback.statements import jobs
from workers.results import arguments_for, as_data
from workers.running import Cancellation
from workers.station import Station
from workers.store import count, first
from workers.verdict import Again, NobodyWaits, OutOfTime, Verdict, not_served, on_problem

REGISTER_SECONDS = 1.0
"""How long a message waits for this process to be registered; then it is dropped, and published again soon."""
FINISH_SECONDS = 30.0
"""How long an outcome is offered to a Postgres that does not take it; the lease ends the process long before."""
FINISH_PAUSE_SECONDS = 0.1
"""Between two such offers: a Postgres that restarts is back within seconds."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """What the claim brought. `seconds` is what this attempt may take."""

    id: UUID
    token: UUID
    session_id: UUID
    call_id: str
    user: str
    tool: str
    arguments: Any
    effect: Effect
    attempt: int
    max_attempts: int
    seconds: float


def run_job(station: Station, job_id: UUID) -> None:
    """Run the job if it may be run; a repeated, stale or forged message ends at the claim."""
    job = None if station.leaving.is_set() else claim(station, job_id)
    if job is None or not may_begin(station, job):
        return
    began = monotonic()
    with station.running.started(job.id) as cancellation:
        verdict = attempt(station, job, cancellation)
        state = settle(station, job, verdict)
    ms = (monotonic() - began) * 1000
    logger.info("job %s tool=%s attempt=%d ms=%.1f: %s", job.id, job.tool, job.attempt, ms, state)


def claim(station: Station, job_id: UUID) -> Job | None:
    """Take the job, or None where it is not to be had."""
    if not station.lease.wait(REGISTER_SECONDS):
        logger.warning("job %s dropped: this process is not registered; it will be published again", job_id)
        station.suspect_messages()
        return None
    token = uuid4()
    try:
        row = first(station.store.claims, jobs.claim(job_id, station.lease.worker_id, token))
    except SQLAlchemyError as problem:
        logger.warning("job %s not claimed, it will be published again: %s", job_id, problem)
        station.suspect_messages()
        _give_up(station, job_id, token)
        return None
    if row is None:
        logger.info("job %s is not to be had: a repeated or stale message", job_id)
        return None
    logger.info("job %s tool=%s attempt=%d: claimed", row.id, row.tool, row.attempt)
    return _job(row)


def may_begin(station: Station, job: Job) -> bool:
    """True where the tool may be called. An at_most_once tool is written down first, and durably."""
    if job.effect is not Effect.AT_MOST_ONCE:
        return True
    try:
        if count(station.store.outcomes, jobs.begin_effect(job.id, job.token)):
            return True
    except SQLAlchemyError as problem:
        logger.warning("job %s is not begun: %s", job.id, problem)
        _give_up(station, job.id, job.token)
        return False
    logger.info("job %s is not begun: %s", job.id, settle(station, job, cancelled()))
    return False


def attempt(station: Station, job: Job, cancellation: Cancellation) -> Verdict:
    """Run the tool, and say what is to become of the job. One whose effect has begun is not left before its end."""
    tool = station.tools.get(job.tool)
    if tool is None:
        return not_served(job.tool)
    try:
        arguments = arguments_for(tool, job.arguments)
        leave = cancellation if job.effect is not Effect.AT_MOST_ONCE else Cancellation()
        call = _call(station, job, cancellation.asked)
        return succeeded(as_data(station.caller.call(tool, arguments, call, job.seconds, leave)))
    except Exception as problem:
        if not station.leaving.is_set():
            _log(job, problem)
        return on_problem(problem, attempt=job.attempt, max_attempts=job.max_attempts, effect=job.effect)


def settle(station: Station, job: Job, verdict: Verdict) -> str:
    """Write the verdict down; returns the state the job is in now, or "fenced"."""
    if not station.lease.held:
        return "fenced"  # the process is ending, and its tokens are void
    if station.leaving.is_set() and not (isinstance(verdict, Outcome) and verdict.state is JobState.SUCCEEDED):
        return "handed back"  # the tool was stopped, and what it said to that is no outcome
    if isinstance(verdict, Again):
        if _give_back(station, job, verdict):
            return JobState.PENDING
        verdict = verdict.reason
    try:
        return _finish(station, job, verdict)
    except DataError:
        logger.exception("job %s: Postgres refuses what the tool returned", job.id)
        return _finish(station, job, failed("bad_result", "The function finished, but its result cannot be kept."))
    except SQLAlchemyError:
        logger.exception("job %s: the outcome could not be written; the job will be timed out", job.id)
        return "lost"


def _finish(station: Station, job: Job, outcome: Outcome) -> str:
    statement = jobs.finish(job.id, job.token, outcome)
    row = _insist(station, lambda: first(station.store.outcomes, statement))
    if row is None:
        fenced = station.running.count_fenced()
        logger.warning("job %s: stale outcome dropped, the job is no longer ours (%d so far)", job.id, fenced)
        return "fenced"
    if row.delivery == Delivery.READY and row.gateway_id:
        station.bell.ring(row.gateway_id, row.session_id)
    return outcome.state


def _give_back(station: Station, job: Job, again: Again) -> bool:
    statement = jobs.retry(job.id, job.token, again.error, again.backoff)
    try:
        return _insist(station, lambda: count(station.store.outcomes, statement)) > 0
    except SQLAlchemyError as problem:
        logger.warning("job %s could not be given back: %s", job.id, problem)
        return False


def _give_up(station: Station, job_id: UUID, token: UUID) -> None:
    """It may have been written all the same: a living worker that does not know of its job would hold it for long."""
    try:
        if _insist(station, lambda: count(station.store.outcomes, jobs.give_up(job_id, token))):
            logger.info("job %s is given back, not begun", job_id)
    except SQLAlchemyError as problem:
        logger.warning("job %s may be held by this process until its deadline: %s", job_id, problem)


def _insist(station: Station, write: Callable[[], T]) -> T:
    """Try until it is written: the token makes a repetition harmless, and a lost lease ends the process."""
    give_up = monotonic() + FINISH_SECONDS
    while True:
        try:
            return write()
        except DataError:
            raise
        except SQLAlchemyError:
            if monotonic() > give_up or not station.lease.held:
                raise
            sleep(FINISH_PAUSE_SECONDS)


def _job(row: Any) -> Job:
    return Job(
        id=row.id,
        token=row.token,
        session_id=row.session_id,
        call_id=row.call_id,
        user=row.user_id,
        tool=row.tool,
        arguments=row.arguments,
        effect=Effect(row.effect),
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        seconds=min(row.timeout, float(row.seconds_left)),
    )


def _call(station: Station, job: Job, cancelled: Event) -> Call:
    return Call(
        job_id=str(job.id),
        session_id=str(job.session_id),
        call_id=job.call_id,
        user=job.user,
        attempt=job.attempt,
        deadline=datetime.now(UTC) + timedelta(seconds=job.seconds),
        arguments=job.arguments,
        _report=lambda note: station.notes.note(job.id, job.token, note),
        _cancelled=cancelled,
    )


def _log(job: Job, problem: Exception) -> None:
    """What a tool says on purpose is for the model; anything else is for whoever wrote the tool."""
    if not isinstance(problem, ToolError | OutOfTime | NobodyWaits):
        logger.warning("job %s: tool %s raised %s", job.id, job.tool, type(problem).__name__, exc_info=problem)
    elif problem.__cause__ is not None:
        logger.warning("job %s: tool %s: %s", job.id, job.tool, problem.__cause__)
