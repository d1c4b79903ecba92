"""A job becomes this worker's: claimed, at the gate of its tool where that has one, and begun. Or given up again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.exc import DataError, SQLAlchemyError

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import Effect
from ringback.privacy.encryption import Unopenable
from ringback.privacy.row_privacy import Discretion, NoKey
from ringback.statements.jobs import gates, transitions
from ringback.tools.behavior import Manners
from workers.execution.retry_policy import unreadable
from workers.execution.runtime import Station
from workers.execution.tool_limits import Passed, PutOff
from workers.storage.database import count, first

REGISTER_SECONDS = 1.0
"""How long a message waits for this process to be registered; then it is dropped, and published again soon."""
INSIST_SECONDS = 30.0
"""How long an outcome is offered to a Postgres that does not take it; the lease ends the process long before."""
INSIST_PAUSE_SECONDS = 0.1
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
    claims: dict[str, Any]
    tool: str
    arguments: Any
    effect: Effect
    attempt: int
    max_attempts: int
    seconds: float
    timeout: float = 0.0
    seconds_left: float = 0.0
    """Until the deadline."""
    needed: tuple[str, ...] = ()
    """Scopes that the tool asked for when the call was admitted; what this worker's code asks for comes on top."""
    redact: tuple[str, ...] = ()
    """Fields that its row must not show, as the tool asked for then, or this worker's code asks for."""
    discretion: Discretion = field(default_factory=Discretion)
    """What its row may show of what comes of it."""
    is_probe: bool = False
    """Its end says whether a tool that was left alone works again."""
    answer: Outcome | None = None
    """It is not to be run: this is its outcome, by the limits of the tool, or as no worker has or can read it."""


def claim(station: Station, job_id: UUID) -> Job | None:
    """Take the job, or None where it is not to be had, or not now."""
    if not station.lease.wait(REGISTER_SECONDS):
        logger.warning("job %s dropped: this process is not registered; it will be published again", job_id)
        station.suspect_messages()
        return None
    token = uuid4()
    try:
        passed = _take(station, job_id, token)
    except SQLAlchemyError as problem:
        logger.warning("job %s not claimed, it will be published again: %s", job_id, problem)
        station.suspect_messages()
        give_up(station, job_id, token)
        return None
    if isinstance(passed, PutOff):
        logger.info("job %s is put off for %.2f s, %s", job_id, passed.seconds, passed.why)
        return None
    if passed is None:
        logger.info("job %s is not to be had: a repeated or stale message, or one that comes too early", job_id)
        return None
    logger.info("job %s tool=%s attempt=%d: claimed", passed.row.id, passed.row.tool, passed.row.attempt)
    return _job(station, passed)


def give_up(station: Station, job_id: UUID, token: UUID) -> None:
    """It may have been written all the same: a living worker that does not know of its job would hold it for long."""
    try:
        if insist(station, lambda: count(station.store.outcomes, transitions.give_up(job_id, token))):
            logger.info("job %s is given back, not begun", job_id)
    except SQLAlchemyError as problem:
        logger.warning("job %s may be held by this process until its deadline: %s", job_id, problem)


def insist(station: Station, write: Callable[[], T]) -> T:
    """Try until it is written: the token makes a repetition harmless, and a lost lease ends the process."""
    end = monotonic() + INSIST_SECONDS
    while True:
        try:
            return write()
        except DataError:
            raise
        except SQLAlchemyError:
            if monotonic() > end or not station.lease.held:
                raise
            sleep(INSIST_PAUSE_SECONDS)


def _take(station: Station, job_id: UUID, token: UUID) -> Passed | PutOff | None:
    """Claim with one statement; where that moves nothing, see whether the call waits at a gate or for a tool."""
    engine, worker_id, gate = station.store.claims, station.lease.worker_id, station.gates
    row = first(engine, transitions.claim(job_id, worker_id, token, gate.ungated))
    if row is not None:
        return Passed(row)
    asked = first(engine, gates.asked_for(job_id))
    if asked is None or asked.tool in gate.ungated:
        return None
    has_tool = asked.tool in gate.names
    return (gate if has_tool else station.passing).claim(job_id, asked, worker_id, token)


def _job(station: Station, passed: Passed) -> Job:
    row, manners, answer = passed.row, Manners.from_data(passed.row.manners), passed.answer
    arguments, tool = row.arguments, station.tools.get(row.tool)
    redact = tuple({*manners.redact, *(tool.announcement.manners.redact if tool else ())})
    try:
        arguments = station.discretion.whole_arguments(row, row.session_id)
        if redact and station.discretion.seals is None:
            raise NoKey(f"tool {row.tool} asks for {', '.join(redact)} to be redacted")
    except (Unopenable, NoKey) as problem:
        logger.error("job %s is not run: %s", row.id, problem)
        answer = unreadable()
    return Job(
        id=row.id,
        token=row.token,
        session_id=row.session_id,
        call_id=row.call_id,
        user=row.user_id,
        claims=row.claims,
        tool=row.tool,
        arguments=arguments,
        effect=Effect(row.effect),
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        seconds=min(row.timeout, float(row.seconds_left)),
        timeout=row.timeout,
        seconds_left=float(row.seconds_left),
        needed=manners.scopes,
        redact=redact,
        discretion=station.discretion.knowing(arguments, redact),
        is_probe=passed.is_probe,
        answer=answer,
    )
