"""Sessions that somebody wants to end: one, a user's, or those of a key that is good no more.

A session that a gateway holds is ended by that gateway, which looks once a second (`sessions.held`); one that waits
for its client is over at once. Their calls are cancelled in either case: nobody may wait for them any more.
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
"""Why: `sessions.end_wanted`, and `sessions.end_reason` in the end."""


def the_session(session_id: UUID, tenant: str) -> ColumnElement[bool]:
    """This one."""
    return (sessions.c.id == session_id) & (sessions.c.tenant == tenant)


def sessions_of_user(user: str, tenant: str) -> ColumnElement[bool]:
    """Every one of the user, whatever it was begun with."""
    return (sessions.c.user_id == user) & (sessions.c.tenant == tenant)


def sessions_of_signed_out(user: str, tenant: str) -> ColumnElement[bool]:
    """Every one of the user, and those that were begun with a client secret which they made."""
    theirs = sessions.c.credential.in_(credentials.minted_by(user, tenant))
    return or_(sessions_of_user(user, tenant), theirs & (sessions.c.tenant == tenant))


def sessions_of_key(key_id: UUID) -> ColumnElement[bool]:
    """Those begun with the key, or with a client secret that was made with it."""
    secrets = select(secret_credential()).where(client_secrets.c.key_id == key_id)
    return or_(sessions.c.credential == f"key:{key_id}", sessions.c.credential.in_(secrets))


def end(which: ColumnElement[bool], reason: str) -> ReturningUpdate[Any]:
    """These sessions are to end; the first reason stays. Returns `id`, `state` and `gateway_id` of those not over."""
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
    """What is set of a session that is to end: one that waits for its client is over at once, by whatever it began."""
    waits = sessions.c.state == "detached"
    return {
        "state": case((waits, "ended"), else_=sessions.c.state),
        "ended_at": case((waits, now()), else_=sessions.c.ended_at),
        "end_reason": case((waits, literal(reason)), else_=sessions.c.end_reason),
        "resume_hash": case((waits, null()), else_=sessions.c.resume_hash),
    }


def cancel_calls(which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    """The live calls of these sessions, as far as those are to end: run after `end`. Returns their `id`."""
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
