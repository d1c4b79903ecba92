"""Requests to end sessions: one session, a user's, or those of a revoked key.

If a gateway holds the session, that gateway ends it: it polls once a second (`lifecycle.held_sessions`). If the
session waits for its client, it ends at once. The calls are cancelled in both cases.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, literal, null, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import LIVE, CancelReason
from ringback.statements.clock import now
from ringback.statements.identity import credentials
from ringback.statements.identity.credentials import secret_credential
from ringback.statements.jobs.transitions import cancelling
from ringback.statements.row_state import is_now
from ringback.tables import client_secrets, jobs, sessions

REASONS = REVOKED, ENDED_BY_OPERATOR, ERASED = "revoked", "ended_by_operator", "erased"
"""Reasons, for `sessions.end_wanted` and then `sessions.end_reason`."""


def one_session(session_id: UUID, tenant: str) -> ColumnElement[bool]:
    """Select one session."""
    return (sessions.c.id == session_id) & (sessions.c.tenant == tenant)


def sessions_of_user(user: str, tenant: str) -> ColumnElement[bool]:
    """Select every session of the user, with any credential."""
    return (sessions.c.user_id == user) & (sessions.c.tenant == tenant)


def sessions_of_signed_out(user: str, tenant: str) -> ColumnElement[bool]:
    """Select every session of the user, and those that began with a client secret which the user made."""
    theirs = sessions.c.credential.in_(credentials.minted_by(user, tenant))
    return or_(sessions_of_user(user, tenant), theirs & (sessions.c.tenant == tenant))


def sessions_of_key(key_id: UUID) -> ColumnElement[bool]:
    """Select sessions that began with the key, or with a client secret that was made with it."""
    secrets = select(secret_credential()).where(client_secrets.c.key_id == key_id)
    return or_(sessions.c.credential == f"key:{key_id}", sessions.c.credential.in_(secrets))


def ask_to_end(which: ColumnElement[bool], reason: str) -> ReturningUpdate[Any]:
    """Ask these sessions to end; the first reason stays. Returns `id`, `state` and `gateway_id` of those not over."""
    wanted = (
        select(sessions.c.id)
        .where(which, sessions.c.state != "ended")
        .order_by(sessions.c.id)
        .with_for_update()
        .cte("wanted")
    )
    return (
        update(sessions)
        .where(sessions.c.id == wanted.c.id)
        .values(end_wanted=func.coalesce(sessions.c.end_wanted, reason), **over_if_waiting(reason))
        .returning(sessions.c.id, sessions.c.state, sessions.c.gateway_id)
    )


def over_if_waiting(reason: str) -> dict[str, Any]:
    """Return the values that end a session at once if it waits for its client. A call is hung up first."""
    waits = (sessions.c.state == "detached") & sessions.c.call_id.is_(None)
    return {
        "state": case((waits, "ended"), else_=sessions.c.state),
        "ended_at": case((waits, now()), else_=sessions.c.ended_at),
        "end_reason": case((waits, literal(reason)), else_=sessions.c.end_reason),
        "resume_hash": case((waits, null()), else_=sessions.c.resume_hash),
    }


def cancel_calls(which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    """Cancel the live calls of sessions that are asked to end. Run it after `ask_to_end`. Returns their `id`."""
    live = (
        select(jobs.c.id)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(which, sessions.c.end_wanted.is_not(None), is_now(jobs.c.state, *LIVE))
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("live")
    )
    return (
        update(jobs)
        .where(jobs.c.id == live.c.id, jobs.c.session_id == sessions.c.id)
        .values(**cancelling(CancelReason.OPERATOR))
        .returning(jobs.c.id)
    )
