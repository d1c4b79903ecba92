"""Calls: conversations whose voice goes to the Realtime API itself, by WebRTC or SIP, with a gateway beside them.

Such a call does not end with its gateway: the conversation goes on at the Realtime API. So its row keeps the id of the
call, and a gateway that lives takes it over, in the next epoch, and attaches to the same conversation. A gateway that
is only slow loses its calls, too: its writes name an older epoch and change no row, and it leaves.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, Update, and_, exists, func, null, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.leases.lease import LEASE_SECONDS, RENEW_SECONDS
from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds, seconds_since
from ringback.statements.processes import is_alive, is_steady
from ringback.statements.sessions.lifecycle import OWNED, is_ours
from ringback.tables import processes, sessions

SILENT_SECONDS = 2 * RENEW_SECONDS
"""A gateway that has not renewed its lease for so long loses its calls, sooner than the lease itself: the caller waits,
and taking a call over does no harm if the gateway lives after all."""
LEFT_SECONDS = LEASE_SECONDS - SILENT_SECONDS
"""What is left of its lease then, if it is of the usual length."""
UNATTENDED_SECONDS = 60.0
"""How long a call may go on without a gateway (`sessions.resume_seconds`) until its session is given up."""
TAKE_AT_ONCE = 16
"""Calls of one statement: each of them is attached to next, and others may take the rest meanwhile."""


@statement
def attach(session_id: UUID, gateway_id: str, epoch: int, call_id: str, item_secret: str) -> ReturningUpdate[Any]:
    """Write the id of the call, and the secret of its outputs' ids. 0 rows: the session is no longer this gateway's.

    Postgres refuses it (a unique violation) if another session has the call and has not ended.
    """
    mine = update(sessions).where(is_ours(session_id, gateway_id, epoch))
    return mine.values(call_id=call_id, item_secret=item_secret).returning(sessions.c.id)


@statement
def ask_to_end(session_id: UUID, gateway_id: str, epoch: int, reason: str) -> Update:
    """Write why the call ends, before it is hung up: a gateway that takes it meanwhile hangs up, too. The first reason
    stays.

    0 rows: the session is no longer this gateway's, and so the call is not its to hang up.
    """
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch))
        .values(end_wanted=func.coalesce(sessions.c.end_wanted, reason))
    )


def unattended(gateway_id: str, left: float = LEFT_SECONDS) -> Select[Any]:
    """Select the live calls that no gateway attends to: each was given up, or its gateway has fallen silent.

    One that was given up for too long is among them if it is asked to end: it is taken to be hung up.

    Args:
        gateway_id: the one that would take them.
        left: seconds that are left of the lease of a gateway that has been silent for `SILENT_SECONDS`.
    """
    holder = processes.alias("holder")
    attended = select(holder.c.id).where(
        holder.c.id == sessions.c.gateway_id,
        holder.c.ended_at.is_(None),
        holder.c.lease_until > now() + seconds(left),
    )
    is_wanted = or_(sessions.c.resume_until > now(), sessions.c.end_wanted.is_not(None))
    given_up = and_(sessions.c.state == "detached", is_wanted)
    lost = and_(sessions.c.state.in_(OWNED), sessions.c.gateway_id != gateway_id, ~exists(attended))
    return select(sessions.c.id).where(
        sessions.c.call_id.is_not(None), sessions.c.state != "ended", or_(given_up, lost), is_steady(gateway_id)
    )


@statement
def take(gateway_id: str, left: float = LEFT_SECONDS, limit: int = TAKE_AT_ONCE) -> ReturningUpdate[Any]:
    """Take such calls over, each in its next epoch. Of any number of gateways that ask at once, one gets each.

    Returns all that the gateway must know to attach to them. `end_wanted`: the call is to be ended, and why.
    `upstream_id`: null if no gateway has been beside the call yet, so that its caller was not greeted.
    """
    found = (
        unattended(gateway_id, left)
        .order_by(sessions.c.gateway_id)
        .limit(limit)
        .with_for_update(of=sessions, skip_locked=True)
        .cte("found")
    )
    return (
        update(sessions)
        .where(sessions.c.id == found.c.id, is_alive(gateway_id))
        .values(epoch=sessions.c.epoch + 1, gateway_id=gateway_id, state="open", resume_until=null())
        .returning(
            *(sessions.c.id, sessions.c.epoch, sessions.c.agent, sessions.c.tenant, sessions.c.user_id),
            *(sessions.c.claims, sessions.c.credential, sessions.c.policy, sessions.c.transport, sessions.c.call_id),
            *(sessions.c.item_secret, sessions.c.upstream_id, sessions.c.end_wanted),
            seconds_since(sessions.c.created_at).label("age"),
        )
    )
