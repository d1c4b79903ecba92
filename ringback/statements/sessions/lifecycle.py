"""Sessions: one live conversation each, owned by one gateway, in one epoch.

An epoch is one upstream conversation. Whoever owns the session bumps it before a rebuilt conversation is told
anything; whatever an older epoch still tries to write finds another number in the row, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, Select, Update, case, insert, literal, null, select, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import Delivery
from ringback.statements.clock import now, seconds, seconds_since
from ringback.statements.json_order import in_order, written
from ringback.statements.processes import lives
from ringback.statements.row_state import is_now
from ringback.tables import DEFAULT_TENANT, jobs, sessions

OWNED = ("open", "draining")
"""States in which a gateway holds the conversation."""


def open_session(
    session_id: UUID,
    *,
    user_id: str,
    agent: str,
    model: str,
    gateway_id: str,
    resume_hash: bytes | None = None,
    resume_seconds: float | None = None,
    has_webhook: bool = False,
    claims: dict[str, Any] | None = None,
    tenant: str = DEFAULT_TENANT,
    credential: str = "",
    policy: str = "browser",
) -> Insert:
    """A conversation begins, in epoch 1.

    Args:
        resume_hash: SHA-256 of the token that resumes it; None where it ends with its client.
        resume_seconds: how long it may stay without a client; goes with `resume_hash`.
        has_webhook: True where the agent names one: answers that come after the end are sent there.
        claims: what is known of the user beside the name, as JSON data; tools get it.
        credential: with what the client came in, as `sessions.credential` has it.
        policy: "browser" or "trusted".
    """
    return insert(sessions).values(
        id=session_id,
        tenant=tenant,
        credential=credential,
        policy=policy,
        user_id=user_id,
        agent=agent,
        model=model,
        gateway_id=gateway_id,
        epoch=1,
        resume_hash=resume_hash,
        resume_seconds=resume_seconds,
        has_webhook=has_webhook,
        claims=claims or {},
    )


def connected(session_id: UUID, gateway_id: str, epoch: int, upstream_id: str | None) -> Update:
    """The Realtime API's own id of the conversation, for who looks it up there."""
    return update(sessions).where(is_ours(session_id, gateway_id, epoch)).values(upstream_id=upstream_id)


def set_by_client(session_id: UUID, gateway_id: str, epoch: int, session: dict[str, Any]) -> Update:
    """What the client has set of its session so far, all of it: the next epoch begins with it."""
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch))
        .values(**written(sessions.c.client_session, session))
    )


def owned(session_id: UUID, gateway_id: str, epoch: int) -> Select[Any]:
    """One row while this gateway holds the conversation in this epoch."""
    return select(sessions.c.id).where(is_ours(session_id, gateway_id, epoch))


def opens_with(resume_hash: bytes) -> ColumnElement[bool]:
    """True where this is the token that was handed out last: each connection of a client has had one of its own."""
    return sessions.c.resume_hash == resume_hash


def held(gateway_id: str) -> Select[Any]:
    """Every conversation that this gateway holds, with its epoch: what is not among them is no longer its own.

    `end_wanted` says why somebody wants it to end; None: nobody does.
    """
    return select(sessions.c.id, sessions.c.epoch, sessions.c.end_wanted).where(
        sessions.c.gateway_id == gateway_id, sessions.c.state.in_(OWNED)
    )


def next_epoch(session_id: UUID, gateway_id: str, epoch: int) -> ReturningUpdate[Any]:
    """A rebuilt upstream conversation is about to begin: fence the old one. Returns the new epoch.

    0 rows: the session is no longer this gateway's.
    """
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch), lives(literal(gateway_id)))
        .values(epoch=sessions.c.epoch + 1, upstream_id=None)
        .returning(sessions.c.epoch)
    )


def resume(
    resume_hash: bytes,
    new_hash: bytes,
    *,
    user_id: str,
    gateway_id: str,
    tenant: str = DEFAULT_TENANT,
    agent: str | None = None,
    credential: str | None = None,
    claims: dict[str, Any] | None = None,
    policy: str | None = None,
) -> ReturningUpdate[Any]:
    """A client comes back with its token, here: the session is this gateway's from now on, in its next epoch.

    The token is used up and `new_hash` takes its place; of two that come at once, one gets the row. 0 rows: the token
    is unknown, used, expired or somebody else's. `old_gateway_id` is who held it before, and is fenced now. Run once
    more, because nobody heard what came of it, it finds its own `new_hash`, which nobody else can have.

    Args:
        agent: the only one that whoever comes back may have; None: any.
        credential: with what they came in now: the session ends with that one from here on. None: as it was.
        claims: what is known of them now. None: as it was.
        policy: "browser" or "trusted", which holds for them now. None: as it was.
    """
    found = (
        select(sessions.c.id, sessions.c.gateway_id, sessions.c.state)
        .where(_may_resume((resume_hash, new_hash), user_id, tenant, agent))
        .with_for_update()
        .cte("found")
    )
    return (
        update(sessions)
        .where(sessions.c.id == found.c.id, lives(literal(gateway_id)))
        .values(
            epoch=sessions.c.epoch + 1,
            gateway_id=gateway_id,
            state="open",
            resume_hash=new_hash,
            resume_until=null(),
            upstream_id=None,
            credential=sessions.c.credential if credential is None else literal(credential),
            claims=sessions.c.claims if claims is None else literal(claims, JSONB),
            policy=sessions.c.policy if policy is None else literal(policy),
        )
        .returning(
            sessions.c.id,
            sessions.c.epoch,
            sessions.c.agent,
            in_order(sessions.c.client_session),
            seconds_since(sessions.c.created_at).label("age"),
            case((found.c.state.in_(OWNED), found.c.gateway_id)).label("old_gateway_id"),
        )
    )


def resumable(
    resume_hash: bytes, *, user_id: str, tenant: str = DEFAULT_TENANT, agent: str | None = None
) -> Select[Any]:
    """One row where this token is good: if it was not taken, something else was in the way."""
    return select(sessions.c.id).where(_may_resume((resume_hash,), user_id, tenant, agent))


def drain(gateway_id: str) -> Update:
    """This gateway is about to end: its sessions take part in everything, and begin nothing new."""
    return (
        update(sessions).where(sessions.c.gateway_id == gateway_id, sessions.c.state == "open").values(state="draining")
    )


def detach(session_id: UUID, gateway_id: str, epoch: int) -> Update:
    """The client went without a goodbye, or has been asked to come back: it may resume for `resume_seconds`.

    0 rows: the session cannot be resumed, somebody wants it to end, or it is no longer this gateway's.
    """
    return (
        update(sessions)
        .where(
            is_ours(session_id, gateway_id, epoch),
            sessions.c.resume_seconds.is_not(None),
            sessions.c.end_wanted.is_(None),
        )
        .values(state="detached", resume_until=now() + seconds(sessions.c.resume_seconds))
    )


def end_session(session_id: UUID, gateway_id: str, epoch: int, reason: str) -> Update:
    """The conversation is over; only its owner may say so."""
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch))
        .values(state="ended", ended_at=now(), end_reason=reason, resume_hash=None)
    )


def keep_for_history(session_id: UUID) -> Update:
    """Answers that came too late for their conversation; run after `end_session`."""
    late = (
        select(jobs.c.id)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(jobs.c.session_id == session_id, jobs.c.delivery == Delivery.READY, sessions.c.state == "ended")
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("late")
    )
    return update(jobs).where(jobs.c.id == late.c.id).values(delivery=Delivery.HISTORY_ONLY)


def owners(session_ids: Iterable[UUID]) -> Select[Any]:
    """Of these sessions, those that a gateway holds: `(id, gateway_id)`, for whoever rings its doorbell."""
    return select(sessions.c.id, sessions.c.gateway_id).where(
        sessions.c.id.in_(sorted(session_ids)), is_now(sessions.c.state, *OWNED), sessions.c.gateway_id.is_not(None)
    )


def _may_resume(hashes: Iterable[bytes], user_id: str, tenant: str, agent: str | None) -> ColumnElement[bool]:
    return (true() if agent is None else sessions.c.agent == agent) & (
        sessions.c.resume_hash.in_(tuple(hashes))
        & (sessions.c.user_id == user_id)
        & (sessions.c.tenant == tenant)
        & (sessions.c.state != "ended")
        & sessions.c.end_wanted.is_(None)
        & ((sessions.c.state != "detached") | (sessions.c.resume_until > now()))
    )


def is_ours(session_id: UUID, gateway_id: str, epoch: int) -> ColumnElement[bool]:
    """True where this gateway holds the conversation in this epoch."""
    return (
        (sessions.c.id == session_id)
        & (sessions.c.gateway_id == gateway_id)
        & (sessions.c.epoch == epoch)
        & is_now(sessions.c.state, *OWNED)
    )
