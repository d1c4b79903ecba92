"""Delivery of results: ready → sent → acked. The gateway that owns the session in its present epoch makes each step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Update, literal, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import Delivery
from ringback.statements.json_order import in_order
from ringback.statements.processes import is_alive
from ringback.statements.row_state import is_now
from ringback.statements.sessions.lifecycle import OWNED, is_ours
from ringback.tables import jobs, sessions

TAKE_AT_ONCE = 32
"""Results taken in one statement. A session has few; the next poll takes the rest."""
_ANSWER = (
    *(jobs.c.id, jobs.c.call_id, jobs.c.tool),
    *(jobs.c.state, in_order(jobs.c.result), jobs.c.sealed_result, jobs.c.error, jobs.c.cancel_reason),
)


def waiting_sessions(gateway_id: str) -> Select[Any]:
    """Return this gateway's sessions that have a ready result. This poll makes every doorbell a hint."""
    return (
        select(sessions.c.id)
        .join(jobs, jobs.c.session_id == sessions.c.id)
        .where(
            sessions.c.gateway_id == gateway_id,
            sessions.c.state.in_(OWNED),
            jobs.c.delivery == Delivery.READY,
        )
        .distinct()
    )


def take_ready(session_id: UUID, gateway_id: str, epoch: int) -> ReturningUpdate[Any]:
    """Mark ready results as sent into this epoch and return them. Commit before you write to the socket.

    0 rows: no result is ready, or this gateway no longer owns the session.
    """
    mine = (
        select(sessions.c.id, sessions.c.epoch)
        .where(is_ours(session_id, gateway_id, epoch), is_alive(literal(gateway_id)))
        # An epoch that begins meanwhile waits for this and replays what it took, or this waits and takes none. A result
        # that came after that epoch's replay would otherwise be sent into a conversation that is over.
        .with_for_update(read=True, of=sessions)
        .cte("mine")
    )
    ready = (
        select(jobs.c.id, mine.c.epoch)
        .where(jobs.c.session_id == mine.c.id, jobs.c.delivery == Delivery.READY)
        .order_by(jobs.c.id)
        .limit(TAKE_AT_ONCE)
        .with_for_update(of=jobs)
        .cte("ready")  # a CTE is evaluated once; a subquery may run for each row and lose its limit
    )
    return (
        update(jobs)
        .where(jobs.c.id == ready.c.id, is_now(jobs.c.delivery, Delivery.READY))
        .values(delivery=Delivery.SENT, delivered_epoch=ready.c.epoch)
        .returning(*_ANSWER)
    )


def unacknowledged(session_id: UUID, gateway_id: str, epoch: int) -> Select[Any]:
    """Return results taken into this epoch and not echoed, for a gateway that lost the reply of `take_ready`."""
    return (
        select(*_ANSWER)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(
            is_ours(session_id, gateway_id, epoch),
            jobs.c.delivery == Delivery.SENT,
            jobs.c.delivered_epoch == epoch,
        )
        .order_by(jobs.c.id)
    )


def acknowledge(job_ids: Iterable[UUID], epoch: int, position: int | None = None) -> Update:
    """Mark results as acknowledged: the server echoed their items.

    Args:
        position: position of the conversation at that moment (`items.position`).
    """
    echoed = (
        select(jobs.c.id)
        .where(
            jobs.c.id.in_(sorted(job_ids)),
            jobs.c.delivery == Delivery.SENT,
            jobs.c.delivered_epoch == epoch,
        )
        .order_by(jobs.c.id)
        .with_for_update()
        .cte("echoed")
    )
    return update(jobs).where(jobs.c.id == echoed.c.id).values(delivery=Delivery.ACKED, answer_position=position)
