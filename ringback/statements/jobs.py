"""The life of one call: admitted by a gateway, claimed by a worker, finished by whoever holds the token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, Update, case, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.jobs import LIVE, Delivery, Effect, JobState
from ringback.outcomes import Outcome
from ringback.statements.clock import now, seconds, seconds_until
from ringback.statements.sessions import is_ours
from ringback.tables import jobs, sessions
from ringback.tools import Announcement

PUBLISH_GRACE_SECONDS = 2.0
"""How long the gateway's own publish may take before a sweeper publishes as well."""
QUEUE_WAIT_SECONDS = 30.0
"""How long a call may wait for a free worker, on top of the time its attempts may take."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A call to be recorded. `tool` is None where the model asked for one that nobody serves."""

    id: UUID
    session_id: UUID
    call_id: str
    response_id: str | None
    name: str
    arguments: Any
    tool: Announcement | None = None
    item_id: str | None = None
    """The `function_call` item."""
    position: int | None = None
    """Where that item stands in the conversation (`items.position`)."""


def admit(job: NewJob, gateway_id: str, epoch: int, outcome: Outcome | None = None) -> ReturningInsert[Any]:
    """Record a call, once, for a session that this gateway owns in this epoch.

    0 rows: the call is recorded already, or the session has moved on. With an `outcome` the job is born finished
    (a call that was refused before any worker saw it), and its answer is ready.
    """
    timeout = job.tool.timeout if job.tool else 0.0
    attempts = (job.tool.retries if job.tool else 0) + 1
    values: dict[str, Any] = {
        "id": literal(job.id),
        "tenant": sessions.c.tenant,
        "session_id": sessions.c.id,
        "call_id": literal(job.call_id),
        "response_id": literal(job.response_id),
        "item_id": literal(job.item_id),
        "position": literal(job.position, BigInteger),
        "epoch": sessions.c.epoch,
        "tool": literal(job.name),
        "queue": literal(job.tool.queue if job.tool else ""),
        "arguments": literal(job.arguments, JSONB),
        "effect": literal(str(job.tool.effect) if job.tool else "pure"),
        "timeout": literal(timeout),
        "max_attempts": literal(attempts),
        "publish_after": now() + seconds(PUBLISH_GRACE_SECONDS),
        "deadline_at": now() + seconds(QUEUE_WAIT_SECONDS + timeout * attempts),
        **(_born_finished(outcome) if outcome else {}),
    }
    source = (
        select(*values.values())
        .where(is_ours(job.session_id, gateway_id, epoch))
        # An epoch that begins meanwhile waits for this and takes the call in, or this waits and records nothing.
        .with_for_update(read=True, of=sessions)
    )
    return (
        insert(jobs)
        .from_select(list(values), source)
        .on_conflict_do_nothing(index_elements=["session_id", "call_id"])
        .returning(jobs.c.id)
    )


def claim(job_id: UUID, worker_id: str, token: UUID | None = None) -> ReturningUpdate[Any]:
    """Take a pending job and get its token. 0 rows: a stale, repeated or forged message; drop it.

    Everything the run needs comes from the row: the message is not believed. A worker that brings a random token of
    its own can `give_up` a claim whose answer it did not hear.
    """
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.session_id == sessions.c.id,
            jobs.c.state == JobState.PENDING,
            jobs.c.attempt < _attempts(),
            jobs.c.cancel_requested.is_(False),
            jobs.c.deadline_at > now(),
            jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()),
        )
        .values(
            state=JobState.RUNNING,
            attempt=jobs.c.attempt + 1,
            token=func.gen_random_uuid() if token is None else literal(token),
            worker_id=worker_id,
            started_at=now(),
            progress=None,
        )
        .returning(
            jobs.c.id,
            jobs.c.token,
            jobs.c.tool,
            jobs.c.arguments,
            jobs.c.attempt,
            _attempts().label("max_attempts"),
            jobs.c.call_id,
            jobs.c.session_id,
            jobs.c.effect,
            jobs.c.timeout,
            jobs.c.deadline_at,
            seconds_until(jobs.c.deadline_at).label("seconds_left"),
            sessions.c.user_id,
        )
    )


def give_up(job_id: UUID, token: UUID) -> Update:
    """A worker gives a job back that it has not begun: it did not hear what came of its claim, or of the barrier.

    It costs the tool no attempt. 0 rows: the claim was not written, or the job is somebody else's by now.
    """
    over = jobs.c.cancel_requested
    return (
        update(jobs)
        .where(_held(job_id, token), jobs.c.session_id == sessions.c.id)
        .values(
            state=case((over, JobState.CANCELLED), else_=JobState.PENDING),
            token=None,
            effect_started=False,
            error=func.jsonb_build_object("code", case((over, "cancelled"), else_="handed_back")),
            max_attempts=jobs.c.max_attempts + 1,
            publish_after=now(),
            publish_count=0,
            finished_at=case((over, now())),
            delivery=case((over, _deliverable()), else_=Delivery.NONE),
        )
    )


def begin_effect(job_id: UUID, token: UUID) -> Update:
    """An at_most_once tool is about to run: from here on its effect may have happened. A durable commit.

    0 rows: the job is no longer ours, or nobody waits for it any more; the tool must not run.
    """
    return (
        update(jobs)
        .where(_held(job_id, token), jobs.c.effect_started.is_(False), jobs.c.cancel_requested.is_(False))
        .values(effect_started=True)
    )


def finish(job_id: UUID, token: UUID, outcome: Outcome) -> ReturningUpdate[Any]:
    """Write the outcome, once. 0 rows: the token is stale, the job is somebody else's or over."""
    return (
        update(jobs)
        .where(_held(job_id, token), jobs.c.session_id == sessions.c.id)
        .values(**_finished(outcome), delivery=_deliverable())
        .returning(jobs.c.session_id, jobs.c.delivery, sessions.c.gateway_id)
    )


def retry(job_id: UUID, token: UUID, error: dict[str, str], backoff: float) -> Update:
    """Give the job back for another attempt in `backoff` seconds. 0 rows: none left, no time, or its effect began."""
    return (
        update(jobs)
        .where(
            _held(job_id, token),
            jobs.c.attempt < _attempts(),
            jobs.c.cancel_requested.is_(False),
            jobs.c.deadline_at > now() + seconds(backoff),
            (jobs.c.effect != Effect.AT_MOST_ONCE) | jobs.c.effect_started.is_(False),
        )
        .values(
            state=JobState.PENDING,
            token=None,
            error=error,
            publish_after=now() + seconds(backoff),
            not_before=now() + seconds(backoff),
            publish_count=0,
        )
    )


def hand_back(worker_id: str) -> ReturningUpdate[Any]:
    """A worker that stops gives back what it still runs, for others to take at once.

    It costs the tool no attempt of its own. What may have had its effect is `unknown`, what nobody waits for is over.
    """
    mine = (
        select(jobs.c.id)
        .where(jobs.c.worker_id == worker_id, jobs.c.state == JobState.RUNNING)
        .order_by(jobs.c.id)
        .with_for_update()
        .cte("mine")
    )
    begun = (jobs.c.effect == Effect.AT_MOST_ONCE) & jobs.c.effect_started
    over = begun | jobs.c.cancel_requested
    state = case((begun, JobState.UNKNOWN), (jobs.c.cancel_requested, JobState.CANCELLED), else_=JobState.PENDING)
    code = case((begun, "outcome_unknown"), (jobs.c.cancel_requested, "cancelled"), else_="handed_back")
    return (
        update(jobs)
        .where(jobs.c.id == mine.c.id, jobs.c.session_id == sessions.c.id)
        .values(
            state=state,
            token=None,
            error=func.jsonb_build_object("code", code),
            max_attempts=jobs.c.max_attempts + 1,
            publish_after=now(),
            publish_count=0,
            finished_at=case((over, now())),
            delivery=case((over, _deliverable()), else_=Delivery.NONE),
        )
        .returning(jobs.c.id, jobs.c.session_id, jobs.c.queue, jobs.c.state, sessions.c.gateway_id)
    )


def cancel(job_id: UUID, tenant: str) -> ReturningUpdate[Any]:
    """Nobody waits for this call any more: a pending one is over, a running one's worker is told.

    0 rows: there is no such job, or it is over.
    """
    waiting = jobs.c.state == JobState.PENDING
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.tenant == tenant,
            jobs.c.state.in_(sorted(LIVE)),
            jobs.c.session_id == sessions.c.id,
        )
        .values(
            cancel_requested=True,
            state=case((waiting, JobState.CANCELLED), else_=jobs.c.state),
            error=case((waiting, func.jsonb_build_object("code", "cancelled")), else_=jobs.c.error),
            finished_at=case((waiting, now())),
            delivery=case((waiting, _deliverable()), else_=jobs.c.delivery),
        )
        .returning(jobs.c.id, jobs.c.state, jobs.c.session_id, sessions.c.gateway_id)
    )


def note_progress(job_id: UUID, token: UUID, note: str) -> Update:
    """What a running tool says of how far it is."""
    return update(jobs).where(_held(job_id, token)).values(progress=note)


def cancelled_on(worker_id: str) -> Select[Any]:
    """The running jobs of a worker that nobody waits for any more."""
    return select(jobs.c.id).where(
        jobs.c.worker_id == worker_id, jobs.c.state == JobState.RUNNING, jobs.c.cancel_requested
    )


def outcome_of(row: Any) -> dict[str, Any]:
    """The arguments of `ringback.outcomes.from_row` out of a job's row."""
    return {"state": row.state, "result": row.result, "error": row.error}


def _attempts() -> ColumnElement[int]:
    """How many attempts there may be: the tool's own, and one for each that a lost worker took with it."""
    return jobs.c.max_attempts + jobs.c.rescues


def _held(job_id: UUID, token: UUID) -> ColumnElement[bool]:
    return (jobs.c.id == job_id) & (jobs.c.state == JobState.RUNNING) & (jobs.c.token == token)


def _deliverable() -> ColumnElement[Any]:
    """Ready for a conversation that may still hear it; kept for the history of one that is over."""
    return case((sessions.c.state == "ended", Delivery.HISTORY_ONLY), else_=Delivery.READY)


def _finished(outcome: Outcome) -> dict[str, Any]:
    return {
        "state": outcome.state,
        "result": outcome.result,
        "error": outcome.error,
        "finished_at": now(),
        "token": None,
    }


def _born_finished(outcome: Outcome) -> dict[str, ColumnElement[Any]]:
    return {
        "state": literal(str(outcome.state)),
        "error": literal(outcome.error, JSONB) if outcome.error else null(),
        "created_at": func.statement_timestamp(),
        "finished_at": func.statement_timestamp(),
        "delivery": literal(str(Delivery.READY)),
    }
