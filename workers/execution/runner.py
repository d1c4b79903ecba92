"""Run of one job: claim, run, finish. The message gives its id, and the row everything else."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic, time
from traceback import format_tb
from types import MappingProxyType
from typing import Any
from uuid import UUID

import psycopg

from ringback.config.scopes import missing
from ringback.errors import RingbackError, ToolError, database_reason
from ringback.jobs.outcomes import Outcome, cancelled, failed, succeeded
from ringback.jobs.states import Effect, JobState
from ringback.statements.jobs import transitions
from ringback.telemetry import metrics
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from ringback.tools.gate import Ended
from workers.execution.attempt_span import Ran, in_span
from workers.execution.claim import Job, claim, give_up, retry_until_written
from workers.execution.event_loop import raised_by_tool
from workers.execution.failures import failure_of
from workers.execution.results import EXITS, arguments_for, as_data, clean_text, one_line
from workers.execution.retry_policy import (
    CallCancelled,
    DeadlineExceeded,
    Retry,
    Verdict,
    end_of,
    fault_of,
    not_allowed,
    on_problem,
)
from workers.execution.runtime import WorkerRuntime
from workers.execution.waiting import Steps
from workers.leases.in_flight import Cancellation
from workers.storage.database import count, first
from workers.storage.outcome_writer import Success

logger = logging.getLogger(__name__)

Failure = dict[str, Any] | None
"""Failure of an attempt, as `workers.execution.failures` describes it."""
UNTRACED: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Told:
    """What an attempt leaves in its row beside the outcome: for operators, and not for the model."""

    failure: Failure = None
    summary: str | None = None


NOTHING_TOLD = Told()
Given = dict[str, Any] | Exception
"""Arguments as the function takes them, or the exception that says why there are none."""


def run_job(runtime: WorkerRuntime, job_id: UUID, headers: Mapping[str, object] = UNTRACED) -> Steps[None]:
    """Run the job in steps if it may be run; a repeated, stale or forged message ends at the claim.

    Args:
        headers: of its message, for its trace.
    """
    job = None if runtime.is_leaving.is_set() else (yield from claim(runtime, job_id))
    if job is None:
        return
    if runtime.is_leaving.is_set():  # meanwhile: the hand-back may not have seen this claim
        give_up(runtime, job.id, job.token)
        return
    if job.answer is not None:
        state = record_outcome(runtime, job, job.answer)
        logger.info("job %s tool=%s not run, %s: %s", job.id, job.tool, job.answer.code, state)
        return
    end = Ended.LEFT
    with runtime.running.started(job.id) as cancellation:
        if (refusal := refusal_of(runtime, job)) is not None:
            logger.warning("job %s tool=%s not run: %s", job.id, job.tool, record_outcome(runtime, job, refusal))
        elif (given := read_arguments(runtime, job)) is not None and (
            isinstance(given, Exception) or may_begin(runtime, job)  # with no arguments it is not called
        ):
            steps, spans = run_attempt(runtime, job, given, cancellation), runtime.spans
            if spans is not None:
                steps = in_span(spans, job, runtime.lease.worker_id, headers, steps)
            end = (yield from steps).end
        if not runtime.is_leaving.is_set() and runtime.lease.held:
            runtime.limits.ended(job.tool, end, is_probe=job.is_probe, limited=job.limited)
    runtime.replace_if_worn()


def run_attempt(runtime: WorkerRuntime, job: Job, given: Given, cancellation: Cancellation) -> Steps[Ran]:
    """Run the tool and record what came of it."""
    began = monotonic()
    try:
        verdict, end, told = yield from attempt(runtime, job, given, cancellation)
    except Exception as problem:  # a fault of this worker's own code: else the caller waits until the deadline
        where = "".join(format_tb(problem.__traceback__))  # the frames alone: the exception may be what cannot be told
        logger.error("run failed (job %s) by a fault of this worker, a %s:\n%s", job.id, type(problem).__name__, where)
        verdict, end, told = fault_of(problem, job.effect), Ended.FAILED, NOTHING_TOLD
    state = record_outcome(runtime, job, verdict, told)
    ms = (monotonic() - began) * 1000
    logger.info("job %s tool=%s attempt=%d ms=%.1f: %s", job.id, job.tool, job.attempt, ms, state)
    return Ran(end, verdict, state)


def refusal_of(runtime: WorkerRuntime, job: Job) -> Outcome | None:
    """Return a refusal if the user may not use the tool: their session's row decides, not the model.

    The gateway does not offer such a tool, and refuses a call of it. This holds if a caller went around the gateway.
    """
    asked_here = runtime.tools[job.tool].announcement.behavior.scopes
    lacking = missing((*job.needed, *asked_here), job.claims)
    if not lacking:
        return None
    logger.warning("job %s user=%r lacks %s for %s", job.id, job.user, ", ".join(lacking), job.tool)
    return not_allowed(job.tool)


def read_arguments(runtime: WorkerRuntime, job: Job) -> Given | None:
    """Read the arguments once, before the effect may begin; None if the call was passed to another worker's version.

    An error in them is returned, for the attempt to end in it.
    """
    try:
        return arguments_for(runtime.tools[job.tool], job.arguments)
    except ToolError as problem:
        return None if runtime.passing.pass_back(job) else problem
    except Exception as problem:  # of a validator that the tool brings
        return problem
    except EXITS as problem:  # as one that the tool raises, it ends the call and not the worker
        return raised_by_tool(problem)


def may_begin(runtime: WorkerRuntime, job: Job) -> bool:
    """Return true if the tool may be called. For an at_most_once tool, this is first committed durably."""
    if runtime.is_leaving.is_set():
        return False  # the hand-back has seen its claim, or will
    if job.effect is not Effect.AT_MOST_ONCE:
        return True
    try:
        if count(runtime.store.outcomes, transitions.begin_effect(job.id, job.token)):
            return True
    except psycopg.Error as problem:
        logger.warning("run stopped (job %s not begun): %s; giving up its claim", job.id, problem)
        give_up(runtime, job.id, job.token)
        return False
    logger.info("run stopped (job %s not begun): %s", job.id, record_outcome(runtime, job, cancelled()))
    return False


def attempt(
    runtime: WorkerRuntime, job: Job, given: Given, cancellation: Cancellation
) -> Steps[tuple[Verdict, Ended, Told]]:
    """Run the tool. Returns the verdict on the job, what it shows of the tool, and what its row tells operators.

    A tool whose effect has begun is not left before its end.
    """
    tool = runtime.tools[job.tool]
    begun, began, summaries = False, monotonic(), deque[str](maxlen=1)
    try:
        if isinstance(given, Exception):
            raise given
        leave = cancellation if job.effect is not Effect.AT_MOST_ONCE else Cancellation()
        call = _call(runtime, job, cancellation.requested, summaries.append)
        begun = True
        returned = yield from runtime.invoker.call(tool, given, call, job.seconds, leave)
        return succeeded(as_data(returned, tool.name)), Ended.ANSWERED, Told(None, _summary(job, summaries))
    except Exception as problem:
        if not (runtime.is_leaving.is_set() or _is_fenced(runtime)):  # else the worker has stopped the tool
            _log(job, problem)
        verdict = on_problem(
            problem,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            effect=job.effect if begun else Effect.PURE,  # what was not called has had none
            first_pause=tool.announcement.limits.backoff,
        )
        if not begun:
            return verdict, Ended.LEFT, NOTHING_TOLD
        return verdict, end_of(problem), Told(_failure(job, tool, problem), _summary(job, summaries))
    finally:
        if begun:
            metrics.RUN_SECONDS.observe(monotonic() - began, job.tool, job.queue)


def record_outcome(runtime: WorkerRuntime, job: Job, verdict: Verdict, told: Told = NOTHING_TOLD) -> str:
    """Write the verdict. Returns the state that the job is in now, or "fenced"."""
    if _is_fenced(runtime):
        return "fenced"
    if runtime.is_leaving.is_set() and not (isinstance(verdict, Outcome) and verdict.state is JobState.SUCCEEDED):
        return "handed back"  # the tool was stopped, so its error is no outcome
    if isinstance(verdict, Retry):
        if _retry(runtime, job, verdict, told):
            metrics.CALLS_RETRIED.inc(job.tool, job.queue)
            return JobState.PENDING
        verdict = verdict.reason
    try:
        try:
            return _finish(runtime, job, verdict, told)
        except psycopg.DataError:
            logger.exception("result refused by Postgres (job %s); the job ends as failed", job.id)
            sentence = "The function finished, but its result cannot be kept. Say so; do not call it again."
            return _finish(runtime, job, failed("bad_result", sentence))
    except psycopg.Error as problem:
        if _is_fenced(runtime):
            return "fenced"
        reason = database_reason(problem)
        logger.error("outcome lost (job %s, %s): if it is not written, the job ends at its deadline", job.id, reason)
        return "lost"


def _is_fenced(runtime: WorkerRuntime) -> bool:
    """Return true if the process is ending, and its tokens are void: others take its jobs."""
    return not runtime.lease.held


def _finish(runtime: WorkerRuntime, job: Job, outcome: Outcome, told: Told = NOTHING_TOLD) -> str:
    shown, sealed = job.row_privacy.outcome(outcome, job.session_id, job.redact)
    statement = transitions.finish(job.id, job.token, shown, sealed, told.failure, told.summary)
    success = None  # an outcome that is redacted in its row, or no success, is read from there
    if sealed is None and outcome.state is JobState.SUCCEEDED:
        success = Success(job.call_id, job.tool, outcome.result, time())
    row = retry_until_written(runtime, lambda: runtime.outcomes.write(job.id, statement, success))
    if row is None and (row := _written_before(runtime, job, outcome.state)) is not None:
        runtime.outcomes.notify({job.id: row})
    if row is None:
        fenced = runtime.running.count_fenced()
        metrics.STALE_OUTCOMES.inc()
        logger.warning("stale outcome dropped (job %s): this worker no longer holds it (%d so far)", job.id, fenced)
        return "fenced"
    metrics.CALLS_ENDED.inc(job.tool, job.queue, outcome.state)
    return outcome.state


def _retry(runtime: WorkerRuntime, job: Job, again: Retry, told: Told) -> bool:
    error = {name: job.row_privacy.text(text) for name, text in again.error.items()}
    statement = transitions.retry(job.id, job.token, error, again.backoff, told.failure, told.summary)
    try:
        is_written = retry_until_written(runtime, lambda: count(runtime.store.outcomes, statement)) > 0
        return is_written or _written_before(runtime, job, JobState.PENDING) is not None
    except psycopg.Error as problem:
        logger.warning("retry not written (job %s: %s); the job ends with this attempt", job.id, problem)
        return False


def _written_before(runtime: WorkerRuntime, job: Job, state: JobState) -> Any | None:
    """Return the row if this attempt's end was written, and the reply lost: then a repetition changes no row."""
    written = transitions.finished_as(job.id, runtime.lease.worker_id, job.attempt, state)
    return retry_until_written(runtime, lambda: first(runtime.store.outcomes, written))


def _call(runtime: WorkerRuntime, job: Job, cancelled: Event, summarize: Callable[[str], None]) -> Call:
    return Call(
        job_id=str(job.id),
        session_id=str(job.session_id),
        call_id=job.call_id,
        user=job.user,
        claims=job.claims,
        attempt=job.attempt,
        deadline=datetime.now(UTC) + timedelta(seconds=job.seconds),
        arguments=job.arguments,
        rerun_of=str(job.rerun_of) if job.rerun_of else "",
        _summarize=lambda text: summarize(str(text)),  # now: an object that cannot be read is the tool's own fault
        _report=lambda note: runtime.progress.note(job.id, job.token, job.row_privacy.text(clean_text(str(note)))),
        _cancelled=cancelled,
    )


def _summary(job: Job, summaries: Sequence[str]) -> str | None:
    """Return the tool's last summary as the row may show it; None if it gave none."""
    return one_line(summaries[-1], job.row_privacy.text) or None if summaries else None


def _failure(job: Job, tool: Tool, problem: Exception) -> Failure:
    """Return the failure for the row; None if no code caused it."""
    if isinstance(problem, DeadlineExceeded | CallCancelled):
        return None
    return failure_of(problem, job.attempt, tool.function, job.row_privacy.text, quotes=not job.redact)


def _log(job: Job, problem: Exception) -> None:
    """Log a fault for the tool's author. An error that a tool raises on purpose is only for the model.

    An exception's text may hold what its call holds: it is left out if no row may show that.
    """
    if not isinstance(problem, ToolError | DeadlineExceeded | CallCancelled):
        trace = Redacted(type(problem).__name__).with_traceback(problem.__traceback__) if job.redact else problem
        logger.warning("tool raised %s (job %s tool=%s)", type(problem).__name__, job.id, job.tool, exc_info=trace)
    elif problem.__cause__ is not None:
        cause = problem.__cause__
        logger.warning(
            "tool error (job %s tool=%s): %s", job.id, job.tool, type(cause).__name__ if job.redact else cause
        )


class Redacted(RingbackError):
    """Stands in the log for an exception whose text does not."""
