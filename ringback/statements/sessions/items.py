"""Item log of a session: its messages, and what a rebuilt conversation is told.

Messages are rows of `items`, calls and their outputs rows of `jobs`; `position` is one order for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    Uuid,
    case,
    column,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.jobs.states import TERMINAL, Delivery
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds_since
from ringback.statements.json_order import in_order
from ringback.statements.sessions.lifecycle import held, is_ours
from ringback.tables import items, jobs, sessions

MESSAGES_AT_MOST = 500
"""Newest messages of a conversation; more than a model's window holds of spoken turns."""
IMAGE_LEFT_OUT = "(The user showed a picture here.)"
"""Text in the place of a picture that is not kept or not replayed."""
PICTURE_CHARS_AT_MOST = 1_048_576
"""Most characters of the data URIs of a session's pictures. The newest are kept, at least four. More cannot be told to
a rebuilt conversation, and a camera makes many.
"""
SMALL_BYTES = 2_048
"""A smaller message row holds no picture worth removing."""
LOADED_BYTES = PICTURE_CHARS_AT_MOST + 16_384
"""Most bytes of larger messages that are loaded whole: the pictures that a session keeps, and words beside them."""
TOLD = (Delivery.SPOKEN, Delivery.HEARD)
"""Deliveries that a rebuilt conversation leaves as they are."""
CALLS_AT_MOST = 500
"""Newest calls of a conversation, for the same reason."""


class Message(Struct, frozen=True):
    """Message of the user or the model. `content` is `[{"type": …, "text": …}]` as the user said or heard it."""

    position: int
    item_id: str
    role: str
    content: list[dict[str, Any]]


def without_pictures(content: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of a message with words in the place of each picture."""
    named = {"type": "input_text", "text": IMAGE_LEFT_OUT}
    return [named if part.get("type") == "input_image" else part for part in content]


def save(session_id: UUID, gateway_id: str, epoch: int, messages: Iterable[Message]) -> Bound:
    """Insert or update these messages. Returns `session_id` and `item_id` of each.

    0 rows: the session is no longer this gateway's in this epoch.
    """
    said = [
        {
            "session_id": str(session_id),
            "position": each.position,
            "item_id": each.item_id,
            "role": each.role,
            "content": each.content,
        }
        for each in messages
    ]
    return _save(gateway_id, [session_id], [epoch], said)


@statement
def _save(
    gateway_id: str, session_ids: list[UUID], epochs: list[int], messages: list[dict[str, Any]]
) -> ReturningInsert[Any]:
    mine = held(gateway_id, session_ids, epochs)
    said = (
        func.jsonb_to_recordset(type_coerce(messages, JSONB))
        .table_valued(
            *(column("session_id", Uuid), column("position", BigInteger), column("item_id", Text)),
            *(column("role", Text), column("content", JSONB)),
        )
        .render_derived("said", with_types=True)
    )
    values = {
        "session_id": mine.c.id,
        "tenant": mine.c.tenant,
        "epoch": mine.c.epoch,
        "position": said.c.position,
        "item_id": said.c.item_id,
        "role": said.c.role,
        "content": said.c.content,
    }
    source = (
        select(*values.values())
        .join_from(mine, said, mine.c.id == said.c.session_id)
        .order_by(mine.c.id, said.c.position)
    )
    writing = insert(items).from_select(list(values), source)
    return writing.on_conflict_do_update(
        index_elements=["session_id", "item_id"],
        set_={"content": writing.excluded.content, "changed_at": now()},
    ).returning(items.c.session_id, items.c.item_id)


@statement
def replay(session_id: UUID, gateway_id: str, epoch: int) -> ReturningUpdate[Any]:
    """Mark every finished result as taken into the conversation that is rebuilt as this epoch: `replayed`, unless the
    user has heard of it (`spoken`, `heard`).

    Run it in one transaction with the increment of the epoch and before `log_of_calls`: a result that finishes later is
    `ready` and is delivered live. Returns each `id`.
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
    # The present end of the conversation: a result that enters only here was not delivered before.
    come_to = select(func.max(items.c.position)).where(items.c.session_id == session_id).scalar_subquery()
    entered = finished.c.delivery.in_((Delivery.READY, Delivery.SENT))
    return (
        update(jobs)
        .where(jobs.c.id == finished.c.id, jobs.c.session_id == sessions.c.id, is_ours(session_id, gateway_id, epoch))
        .values(
            # What the user has heard stays heard: `delivered_epoch` says that this conversation has it too.
            delivery=case((finished.c.delivery.in_(TOLD), finished.c.delivery), else_=literal(str(Delivery.REPLAYED))),
            delivered_epoch=epoch,
            answer_position=case((entered, func.coalesce(come_to, 0)), else_=jobs.c.answer_position),
            given_at=func.coalesce(jobs.c.given_at, now()),
        )
        .returning(jobs.c.id)
    )


@statement
def drop_old_pictures(session_id: UUID, gateway_id: str, epoch: int) -> ReturningUpdate[Any]:
    """Keep the session's newest pictures (`PICTURE_CHARS_AT_MOST`) and name the older ones. Returns their `item_id`s.

    0 rows: there are none, or the session is no longer this gateway's in this epoch.
    """
    weighed = _weighed(select(items).where(items.c.session_id == session_id).subquery("said")).cte("weighed")
    return (
        update(items)
        .where(
            items.c.session_id == sessions.c.id,
            items.c.item_id == weighed.c.item_id,
            ~weighed.c.is_whole,
            items.c.content.contains(literal([{"type": "input_image"}], JSONB)),
            is_ours(session_id, gateway_id, epoch),
        )
        .values(content=_pictures_named(items.c.content), changed_at=now())
        .returning(items.c.item_id)
    )


@statement
def log_of_messages(session_id: UUID) -> Select[Any]:
    """Return the messages, newest first: `position`, `item_id`, `role`, `content`.

    Pictures beyond `PICTURE_CHARS_AT_MOST` are replaced by words: they are not replayed, so they are not loaded.
    """
    newest = select(items).where(items.c.session_id == session_id).order_by(items.c.position.desc())
    said = _weighed(newest.limit(MESSAGES_AT_MOST).subquery("said")).subquery("weighed")
    content = case((said.c.is_whole, said.c.content), else_=_pictures_named(said.c.content)).label("content")
    return select(said.c.position, said.c.item_id, said.c.role, content).order_by(said.c.position.desc())


def _weighed(said: Subquery) -> Select[Any]:
    """Add `is_whole` to these messages: true if a message's pictures are among those that are kept."""
    # The size on the disk, known without reading the value; compression makes no picture smaller.
    size = func.pg_column_size(said.c.content)
    so_far = func.sum(size).filter(size >= SMALL_BYTES).over(order_by=said.c.position.desc())
    is_whole = or_(size < SMALL_BYTES, so_far <= LOADED_BYTES).label("is_whole")
    return select(said.c.position, said.c.item_id, said.c.role, said.c.content, is_whole)


def _pictures_named(content: ColumnElement[Any]) -> ColumnElement[Any]:
    """Do what `without_pictures` does, in SQL."""
    part = (
        func.jsonb_array_elements(content)
        .table_valued(column("value", JSONB), with_ordinality="place", name="part")
        .render_derived()
    )
    named = literal({"type": "input_text", "text": IMAGE_LEFT_OUT}, JSONB)
    shown = case((part.c.value["type"].astext == "input_image", named), else_=part.c.value)
    return select(func.jsonb_agg(aggregate_order_by(shown, part.c.place))).scalar_subquery()


@statement
def log_of_calls(session_id: UUID) -> Select[Any]:
    """Return the calls, newest first, each with its position and, if `replay` took it in, its result."""
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
        .where(jobs.c.session_id == session_id, jobs.c.rerun_of.is_(None))
        .order_by(jobs.c.position.desc().nulls_first(), jobs.c.created_at.desc())
        .limit(CALLS_AT_MOST)
    )
