"""The log of what was said, and how a conversation is built anew from it.

Messages stand in `items`, calls and their outputs in `jobs`; `position` is one order for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, Text, case, column, func, literal, select, true, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.jobs import TERMINAL, Delivery
from ringback.statements.clock import now, seconds_since
from ringback.statements.sessions import is_ours
from ringback.statements.written import in_order
from ringback.tables import items, jobs, sessions

MESSAGES_AT_MOST = 500
"""The newest messages of a conversation; more than a model's window holds of spoken turns."""
CALLS_AT_MOST = 500
"""The newest calls of a conversation, for the same reason."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said. `content` is `[{"type": …, "text": …}]` as the user said or heard it."""

    position: int
    item_id: str
    role: str
    content: list[dict[str, Any]]


def keep(session_id: UUID, gateway_id: str, epoch: int, messages: Iterable[Message]) -> ReturningInsert[Any]:
    """Write these messages down, or what has become of them since. Returns their `item_id`s.

    0 rows: the session is no longer this gateway's in this epoch.
    """
    said = (
        func.jsonb_to_recordset(literal([asdict(message) for message in messages], JSONB))
        .table_valued(
            column("position", BigInteger), column("item_id", Text), column("role", Text), column("content", JSONB)
        )
        .render_derived("said", with_types=True)
    )
    values = {
        "session_id": sessions.c.id,
        "tenant": sessions.c.tenant,
        "epoch": sessions.c.epoch,
        "position": said.c.position,
        "item_id": said.c.item_id,
        "role": said.c.role,
        "content": said.c.content,
    }
    source = (
        select(*values.values())
        .select_from(sessions.join(said, true()))
        .where(is_ours(session_id, gateway_id, epoch))
        .order_by(said.c.position)
        # An epoch that begins meanwhile waits for this, or this for it, and then writes nothing.
        .with_for_update(read=True, of=sessions)
    )
    writing = insert(items).from_select(list(values), source)
    return writing.on_conflict_do_update(
        index_elements=["session_id", "item_id"],
        set_={"content": writing.excluded.content, "changed_at": now()},
    ).returning(items.c.item_id)


def replay(session_id: UUID, gateway_id: str, epoch: int) -> ReturningUpdate[Any]:
    """Every answer there is enters the conversation that is being rebuilt as this epoch, here and only here.

    In one transaction with the bump of the epoch and before `log_of_calls`: whatever finishes later is `ready`, and is
    delivered live. Returns each `id`.
    """
    finished = (
        select(jobs.c.id, jobs.c.delivery)
        .where(
            jobs.c.session_id == session_id,
            jobs.c.state.in_(sorted(TERMINAL)),
            jobs.c.delivery != Delivery.HISTORY_ONLY,
        )
        .order_by(jobs.c.id)
        .with_for_update()
        .cte("finished")
    )
    # Where the conversation stands now: what enters it only here was told by nobody so far.
    come_to = select(func.max(items.c.position)).where(items.c.session_id == session_id).scalar_subquery()
    entered = finished.c.delivery.in_((Delivery.READY, Delivery.SENT))
    return (
        update(jobs)
        .where(jobs.c.id == finished.c.id, jobs.c.session_id == sessions.c.id, is_ours(session_id, gateway_id, epoch))
        .values(
            delivery=Delivery.REPLAYED,
            delivered_epoch=epoch,
            answer_position=case((entered, func.coalesce(come_to, 0)), else_=jobs.c.answer_position),
        )
        .returning(jobs.c.id)
    )


def log_of_messages(session_id: UUID) -> Select[Any]:
    """What was said, the newest first: `position`, `item_id`, `role`, `content`."""
    return (
        select(items.c.position, items.c.item_id, items.c.role, items.c.content)
        .where(items.c.session_id == session_id)
        .order_by(items.c.position.desc())
        .limit(MESSAGES_AT_MOST)
    )


def log_of_calls(session_id: UUID) -> Select[Any]:
    """The calls, the newest first, each with its place and, where `replay` took it in, its answer."""
    return (
        select(
            jobs.c.id,
            jobs.c.position,
            jobs.c.answer_position,
            jobs.c.item_id,
            jobs.c.call_id,
            jobs.c.response_id,
            jobs.c.tool,
            in_order(jobs.c.arguments),
            jobs.c.sealed_arguments,
            jobs.c.state,
            jobs.c.delivery,
            jobs.c.delivered_epoch,
            in_order(jobs.c.result),
            jobs.c.sealed_result,
            jobs.c.error,
            jobs.c.cancel_reason,
            jobs.c.effect,
            jobs.c.manners,
            jobs.c.approval,
            jobs.c.joined_to,
            seconds_since(jobs.c.created_at).label("age"),
            func.extract("epoch", jobs.c.finished_at - jobs.c.created_at).label("took"),
        )
        .where(jobs.c.session_id == session_id)
        .order_by(jobs.c.position.desc().nulls_first(), jobs.c.created_at.desc())
        .limit(CALLS_AT_MOST)
    )
