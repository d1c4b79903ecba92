"""Claim of a job: at the gate of its tool if it has one. A claim whose reply was lost is given up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg

from ringback.config import logs
from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import Effect
from ringback.postgres.connections import NoFreeConnection, is_cut
from ringback.privacy.encryption import DecryptionFailed
from ringback.privacy.row_privacy import NoKey, RowPrivacy
from ringback.statements.jobs import gates, transitions
from ringback.telemetry import metrics
from workers.execution.retry_policy import unreadable
from workers.execution.runtime import WorkerRuntime
from workers.execution.tool_limits import NOT_LIMITED, Claimed, Limited, Postponed
from workers.execution.waiting import Steps, Waiting
from workers.storage.database import count, first

REGISTER_SECONDS = 1.0
"""How long a message waits for this process to be registered; then it is dropped, and published again soon."""
WRITE_SECONDS = 30.0
"""How long an outcome is written again while Postgres refuses it; the lease ends the process long before."""
EARLY_PAUSES = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, *[0.032] * 15)
"""Pauses between looks for a row that is not there yet, in seconds: together twice `EARLY_SECONDS`. A message for which
there is no row after that was forged, or its row could not be written in time; then the gateway publishes again.
"""
WRITE_PAUSE_SECONDS = 0.1
"""Pause between two such attempts: a Postgres that restarts is back within seconds."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """Claimed job. `seconds` is what this attempt may take."""

    id: UUID
    token: UUID
    session_id: UUID
    call_id: str
    user: str
    agent: str
    claims: dict[str, Any]
    tool: str
    queue: str
    arguments: Any
    effect: Effect
    attempt: int
    max_attempts: int
    seconds: float
    timeout: float = 0.0
    seconds_left: float = 0.0
    """Seconds until the deadline."""
    needed: tuple[str, ...] = ()
    """Scopes that the tool required when the call was admitted; those that this worker's code requires are added."""
    redact: tuple[str, ...] = ()
    """Fields that its row must not show, by the tool's declaration then or by this worker's code."""
    row_privacy: RowPrivacy = field(default_factory=RowPrivacy)
    """What its row may show of its outcome."""
    is_probe: bool = False
    """True if its end shows whether a failing tool works again."""
    limited: Limited = NOT_LIMITED
    """Limits of an operator that it takes a place of."""
    rerun_of: UUID | None = None
    """The call that this rerun repeats."""
    answer: Outcome | None = None
    """Outcome of a job that is not to be run: by the tool's limits, or because no worker has its tool or key."""


@dataclass(frozen=True, slots=True)
class Early:
    """What comes of a claim whose job has no row yet."""


def claim(runtime: WorkerRuntime, job_id: UUID) -> Steps[Job | None]:
    """Claim the job, in steps; None if it cannot be claimed now."""
    if not runtime.lease.wait(REGISTER_SECONDS):
        logger.warning("message dropped (job %s): this worker is not registered; a sweeper publishes it again", job_id)
        runtime.suspect_messages()
        return None
    token = uuid4()
    try:
        passed = yield from _take_in_time(runtime, job_id, token)
    except psycopg.Error as problem:
        logger.warning("claim failed (job %s: %s); a sweeper publishes it again", job_id, problem)
        if is_cut(problem) and not isinstance(problem, NoFreeConnection):  # else it was refused, or not sent
            give_up(runtime, job_id, token)
        runtime.suspect_messages()
        return None
    if isinstance(passed, Postponed):
        until = "until it goes on" if passed.seconds is None else f"for {passed.seconds:.2f} s"
        logger.info("call postponed (job %s) %s, %s", job_id, until, passed.why)
        return None
    if passed is None or isinstance(passed, Early):
        logger.info("message ignored (job %s): it is repeated, stale or early", job_id)
        return None
    logs.bind(session=passed.row.session_id)
    logger.info("job %s tool=%s attempt=%d: claimed", passed.row.id, passed.row.tool, passed.row.attempt)
    if passed.row.attempt == 1:
        metrics.QUEUE_WAIT.observe(float(passed.row.waited), passed.row.queue)
    return _job(runtime, passed)


def give_up(runtime: WorkerRuntime, job_id: UUID, token: UUID) -> None:
    """Give up a claim that may be written: a living worker that does not know of its job would hold it for long.

    The sweeper looks for it again: Postgres may execute a claim long after it should have answered.
    """
    try:
        if count(runtime.store.outcomes, transitions.give_up_claims([job_id], [token])):
            logger.info("claim given up (job %s): it was not begun", job_id)
            return
    except psycopg.Error as problem:
        logger.warning("giving up failed (job %s: %s); trying again", job_id, problem)
    runtime.sweeper.give_up(job_id, token)


def retry_until_written(runtime: WorkerRuntime, write: Callable[[], T]) -> T:
    """Retry until it is written: the token makes a repetition harmless, and a lost lease ends the process."""
    end = monotonic() + WRITE_SECONDS
    while True:
        try:
            return write()
        except psycopg.DataError:
            raise
        except psycopg.Error:
            if monotonic() > end or not runtime.lease.held:
                raise
            sleep(WRITE_PAUSE_SECONDS)


def _take_in_time(runtime: WorkerRuntime, job_id: UUID, token: UUID) -> Steps[Claimed | Postponed | Early | None]:
    """Claim the job. If its message came before its row, look again until the row must be there."""
    for pause in EARLY_PAUSES:
        passed = _take(runtime, job_id, token)
        if not isinstance(passed, Early) or runtime.is_leaving.is_set():
            return passed
        if pause:
            yield Waiting(pause)
    return _take(runtime, job_id, token)


def _take(runtime: WorkerRuntime, job_id: UUID, token: UUID) -> Claimed | Postponed | Early | None:
    """Claim with one statement. If that changes no row, see whether the call waits at a gate, for a tool or its row."""
    pool, worker_id, gate = runtime.store.claims, runtime.lease.worker_id, runtime.limits
    row = first(pool, transitions.claim(job_id, worker_id, token, gate.ungated))
    if row is not None:
        return Claimed(row)
    asked = first(pool, gates.wanted_tool(job_id))
    if asked is None:
        return Early()
    if not asked.is_due:
        return None
    if asked.tool in gate.ungated and not asked.is_controlled:
        return Early()  # its row came between the two statements
    has_tool = asked.tool in runtime.tools
    return (gate if has_tool else runtime.passing).claim(job_id, asked, worker_id, token)


def _job(runtime: WorkerRuntime, passed: Claimed) -> Job:
    row, answer = passed.row, passed.answer
    arguments, tool = row.arguments, runtime.tools.get(row.tool)
    redact = tuple({*(row.redact or ()), *(tool.announcement.behavior.redact if tool else ())})
    try:
        arguments = runtime.row_privacy.reveal_arguments(row, row.session_id)
        if redact and runtime.row_privacy.cipher is None:
            raise NoKey(f"tool {row.tool} asks for {', '.join(redact)} to be redacted")
    except (DecryptionFailed, NoKey) as problem:
        logger.error("run refused (job %s): %s", row.id, problem)
        answer = unreadable()
    return Job(
        id=row.id,
        token=row.token,
        session_id=row.session_id,
        call_id=row.call_id,
        user=row.user_id,
        agent=row.agent,
        claims=row.claims,
        tool=row.tool,
        queue=row.queue,
        arguments=arguments,
        effect=Effect(row.effect),
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        seconds=min(row.timeout, float(row.seconds_left)),
        timeout=row.timeout,
        seconds_left=float(row.seconds_left),
        needed=tuple(row.scopes or ()),
        redact=redact,
        row_privacy=runtime.row_privacy.with_secrets_of(arguments, redact),
        is_probe=passed.is_probe,
        limited=passed.limited,
        rerun_of=row.rerun_of,
        answer=answer,
    )
