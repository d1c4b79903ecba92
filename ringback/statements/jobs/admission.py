"""Admission of a call as a row: pending, waiting for approval, joined to the same running call, or finished at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, LargeBinary, Uuid, literal, null, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.dml import ReturningInsert

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import Approval, Delivery
from ringback.statements.clock import now, seconds, statement_time
from ringback.statements.json_order import with_order
from ringback.statements.sessions.lifecycle import is_ours
from ringback.tables import jobs, sessions
from ringback.tools.spec import ToolSpec

PUBLISH_GRACE_SECONDS = 2.0
"""Time that the gateway has to publish the job itself before a sweeper publishes it too."""
QUEUE_WAIT_SECONDS = 30.0
"""Time that a call may wait for a free worker, on top of the time its attempts may take."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """Call to be recorded. `tool` is None if the model asked for a tool that no worker serves."""

    id: UUID
    session_id: UUID
    call_id: str
    response_id: str | None
    name: str
    arguments: Any
    tool: ToolSpec | None = None
    item_id: str | None = None
    """Id of the `function_call` item."""
    position: int | None = None
    """Position of that item in the conversation (`items.position`)."""
    joined_to: UUID | None = None
    """Id of the running call with the same arguments; this call ends as that one does."""
    needs_approval: bool = False
    """True if the job is not published before `approvals.decide` grants it. Its deadline until then is
    `approval_seconds`.

    A call that joins another needs no approval: the first call has asked for it.
    """


def time_for(timeout: Any, attempts: Any) -> Any:
    """Return the seconds from when a job may run until its deadline. Takes numbers or columns."""
    return QUEUE_WAIT_SECONDS + timeout * attempts


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted arguments and result, if the plain columns show less than the whole
    (`ringback.privacy.row_privacy`).
    """

    arguments: bytes | None = None
    result: bytes | None = None


def admit(
    job: NewJob, gateway_id: str, epoch: int, outcome: Outcome | None = None, sealed: Sealed = Sealed()
) -> ReturningInsert[Any]:
    """Record a call, once, for a session that this gateway owns in this epoch.

    0 rows: the call is recorded already, or the session has moved on. With an `outcome` the job is inserted as finished
    and its result as ready. That holds for a call that the gateway refused, and for one that it serves itself. If the
    call joins one that has ended meanwhile, a trigger finishes it with the same outcome.
    """
    timeout = job.tool.timeout if job.tool else 0.0
    attempts = (job.tool.retries if job.tool else 0) + 1
    waits = job.needs_approval and job.tool is not None and job.joined_to is None and outcome is None
    seconds_left = job.tool.behavior.approval_seconds if job.tool and waits else time_for(timeout, attempts)
    is_published = not waits and job.joined_to is None
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
        **with_order(jobs.c.arguments, job.arguments),
        "sealed_arguments": literal(sealed.arguments, LargeBinary),
        "sealed_result": literal(sealed.result, LargeBinary),
        "manners": literal(job.tool.behavior.as_data() if job.tool else {}, JSONB),
        "effect": literal(str(job.tool.effect) if job.tool else "pure"),
        "timeout": literal(timeout),
        "max_attempts": literal(attempts),
        "publish_after": now() + seconds(PUBLISH_GRACE_SECONDS) if is_published else null(),
        "deadline_at": now() + seconds(seconds_left),
        "joined_to": literal(job.joined_to, Uuid),
        "approval": literal(str(Approval.REQUESTED)) if waits else null(),
        **(_born_finished(outcome) if outcome else {}),
    }
    source = (
        select(*values.values())
        .where(is_ours(job.session_id, gateway_id, epoch))
        # An epoch that begins meanwhile waits for this and includes the call, or this waits and records no row.
        .with_for_update(read=True, of=sessions)
    )
    return (
        insert(jobs)
        .from_select(list(values), source)
        .on_conflict_do_nothing(index_elements=["session_id", "call_id"])
        .returning(jobs.c.id)
    )


def _born_finished(outcome: Outcome) -> dict[str, ColumnElement[Any]]:
    return {
        "state": literal(str(outcome.state)),
        **(with_order(jobs.c.result, outcome.result) if outcome.error is None else {}),
        "error": literal(outcome.error, JSONB) if outcome.error else null(),
        "created_at": statement_time(),
        "finished_at": statement_time(),
        "delivery": literal(str(Delivery.READY)),
    }
