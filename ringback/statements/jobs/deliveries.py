"""Delivery of results: ready → sent → acked, or ready → acked at once.

The gateway that owns the session in its present epoch reads what is ready, gives it to the conversation, and records
that behind the send.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Select, Update, Uuid, all_, any_, case, select, type_coerce, update

from ringback.jobs.states import Delivery
from ringback.postgres.statement import Bound, statement
from ringback.statements.json_order import in_order
from ringback.statements.processes import is_alive
from ringback.statements.sessions.lifecycle import is_ours
from ringback.tables import jobs, sessions

TAKE_AT_ONCE = 32
"""Results read in one statement. A session has few; the next look reads the rest."""
_ANSWER = (
    *(jobs.c.id, jobs.c.call_id, jobs.c.tool),
    *(jobs.c.state, in_order(jobs.c.result), jobs.c.sealed_result, jobs.c.error, jobs.c.cancel_reason),
)


def read_ready(session_id: UUID, gateway_id: str, epoch: int, given: Collection[UUID] = ()) -> Bound:
    """Return the results that are ready and that the conversation of this epoch was not given.

    0 rows: there is none, this gateway no longer owns the session in this epoch, or its lease has run out. If an epoch
    begins meanwhile, these rows still say `ready`, as `mark` changes none of them, and the new epoch has them.

    Args:
        given: jobs whose result the conversation was given, and whose row may not say so yet.
    """
    return _read_ready(session_id, gateway_id, epoch, list(given))


@statement
def _read_ready(session_id: UUID, gateway_id: str, epoch: int, given: list[UUID]) -> Select[Any]:
    return (
        select(*_ANSWER)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(
            is_ours(session_id, gateway_id, epoch),
            is_alive(gateway_id),
            jobs.c.delivery == Delivery.READY,
            jobs.c.id != all_(type_coerce(given, ARRAY(Uuid))),
        )
        # The first that ended comes first. By id, Postgres would rather read the primary key than the few ready ones.
        .order_by(jobs.c.finished_at, jobs.c.id)
        .limit(TAKE_AT_ONCE)
    )


def mark(
    session_id: UUID,
    gateway_id: str,
    epoch: int,
    given: Collection[UUID],
    echoed: Collection[UUID] = (),
    position: int | None = None,
) -> Bound:
    """Mark results as sent into the conversation of this epoch, and those as acknowledged that the server echoed.

    Idempotent. 0 rows: the rows say so already, or the session is no longer this gateway's in this epoch.

    Args:
        given: every result that the conversation was given; those of `echoed` are among them.
        position: position of the conversation at the last echo (`items.position`).
    """
    return _mark(session_id, gateway_id, epoch, list(given), list(echoed), position)


@statement
def _mark(
    session_id: UUID, gateway_id: str, epoch: int, given: list[UUID], echoed: list[UUID], position: int | None
) -> Update:
    mine = (
        select(sessions.c.id, sessions.c.epoch)
        .where(is_ours(session_id, gateway_id, epoch))
        # An epoch that begins meanwhile waits for this and replays what it marks, or this waits and marks none. A
        # result that came after that epoch's replay would else be marked as sent into a conversation that is over.
        .with_for_update(read=True, of=sessions)
        .cte("mine")
    )
    is_echoed = jobs.c.id == any_(type_coerce(echoed, ARRAY(Uuid)))
    told = (
        select(jobs.c.id, mine.c.epoch, is_echoed.label("is_echoed"))
        .where(
            jobs.c.session_id == mine.c.id,
            jobs.c.id == any_(type_coerce(given, ARRAY(Uuid))),
            (jobs.c.delivery == Delivery.READY)
            | ((jobs.c.delivery == Delivery.SENT) & (jobs.c.delivered_epoch == mine.c.epoch) & is_echoed),
        )
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("told")
    )
    return (
        update(jobs)
        .where(jobs.c.id == told.c.id)
        .values(
            delivery=case((told.c.is_echoed, Delivery.ACKED), else_=Delivery.SENT),
            delivered_epoch=told.c.epoch,
            answer_position=case((told.c.is_echoed, type_coerce(position, BigInteger)), else_=jobs.c.answer_position),
        )
    )
