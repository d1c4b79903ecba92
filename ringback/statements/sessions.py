"""Sessions: one live conversation each, owned by one gateway, in one epoch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Select, Update, insert, select, update

from ringback.jobs import Delivery
from ringback.statements.clock import now
from ringback.tables import jobs, sessions

OWNED = ("open", "draining")
"""States in which a gateway holds the conversation."""


def open_session(session_id: UUID, *, user_id: str, agent: str, model: str, gateway_id: str) -> Insert:
    """A conversation begins, in epoch 1."""
    return insert(sessions).values(
        id=session_id, user_id=user_id, agent=agent, model=model, gateway_id=gateway_id, epoch=1
    )


def connected(session_id: UUID, gateway_id: str, upstream_id: str | None) -> Update:
    """The Realtime API's own id of the conversation, for who looks it up there."""
    return (
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.gateway_id == gateway_id)
        .values(upstream_id=upstream_id)
    )


def owned(session_id: UUID, gateway_id: str, epoch: int) -> Select[Any]:
    """One row while this gateway holds the conversation in this epoch."""
    return select(sessions.c.id).where(
        sessions.c.id == session_id,
        sessions.c.gateway_id == gateway_id,
        sessions.c.epoch == epoch,
        sessions.c.state.in_(OWNED),
    )


def end_session(session_id: UUID, gateway_id: str, reason: str) -> Update:
    """The conversation is over; only its owner may say so."""
    return (
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.gateway_id == gateway_id, sessions.c.state.in_(OWNED))
        .values(state="ended", ended_at=now(), end_reason=reason)
    )


def keep_for_history(session_id: UUID) -> Update:
    """Answers that came too late for their conversation; run after `end_session`."""
    return (
        update(jobs)
        .where(jobs.c.session_id == session_id, jobs.c.delivery == Delivery.READY)
        .values(delivery=Delivery.HISTORY_ONLY)
    )


def owners(session_ids: Iterable[UUID]) -> Select[Any]:
    """Of these sessions, those that a gateway holds: `(id, gateway_id)`, for whoever rings its doorbell."""
    return select(sessions.c.id, sessions.c.gateway_id).where(
        sessions.c.id.in_(sorted(session_ids)), sessions.c.state.in_(OWNED), sessions.c.gateway_id.is_not(None)
    )
