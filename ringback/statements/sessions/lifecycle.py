"""Life of a session: a live conversation that one gateway owns, in one epoch.

An epoch is one upstream conversation. The owner increments it before it tells a rebuilt conversation anything. A late
write of an older epoch finds another number in the row and changes no row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Insert,
    LargeBinary,
    Select,
    Text,
    Update,
    Uuid,
    any_,
    case,
    cast,
    column,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import Delivery
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds, seconds_since
from ringback.statements.json_order import in_order, with_order
from ringback.statements.processes import is_alive
from ringback.statements.row_state import is_now
from ringback.tables import DEFAULT_TENANT, jobs, sessions

OWNED = ("open", "draining")
"""States in which a gateway holds the conversation."""
LOCK_WAIT_OF_MANY = "250ms"
"""How long a statement for several sessions waits for a row that is locked: the next beat is no sooner."""
NO_CLAIMS: dict[str, Any] = {}


@statement
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
    claims: dict[str, Any] = NO_CLAIMS,
    tenant: str = DEFAULT_TENANT,
    credential: str = "",
    policy: str = "browser",
    transport: str = "websocket",
) -> Insert:
    """Insert a session, in epoch 1.

    Args:
        resume_hash: SHA-256 of the token that resumes it; None if it ends with its client.
        resume_seconds: how long it may stay without a client, or a call without a gateway.
        has_webhook: True if the agent names a webhook: late results are posted there.
        claims: facts about the user beside the name, as JSON data; tools get them.
        credential: what the client authenticated with, as in `sessions.credential`.
        policy: "browser" or "trusted".
        transport: how its voice goes (`ringback.transport`).
    """
    row = new_row(
        session_id,
        tenant=tenant,
        credential=credential,
        policy=policy,
        transport=transport,
        user_id=user_id,
        agent=agent,
        model=model,
        gateway_id=gateway_id,
        resume_hash=resume_hash,
        resume_seconds=resume_seconds,
        has_webhook=has_webhook,
        claims=claims,
    )
    return insert(sessions).values(**row)


def new_row(session_id: UUID, **columns: Any) -> dict[str, Any]:
    """Return the columns of a new session's row, from the arguments of `open_session`."""
    return {"id": session_id, "epoch": 1, **columns}


@statement
def set_upstream_id(session_id: UUID, gateway_id: str, epoch: int, upstream_id: str | None) -> Update:
    """Write the Realtime API's id of the conversation, for an operator who looks it up there."""
    return update(sessions).where(is_ours(session_id, gateway_id, epoch)).values(upstream_id=upstream_id)


@statement
def save_client_session(session_id: UUID, gateway_id: str, epoch: int, session: dict[str, Any]) -> Update:
    """Write all that the client has set of its session so far: the next epoch begins with it."""
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch))
        .values(**with_order(sessions.c.client_session, session))
    )


@statement
def is_owned(session_id: UUID, gateway_id: str, epoch: int, resume_hash: bytes | None = None) -> Select[Any]:
    """Return one row while this gateway holds the conversation in this epoch.

    Args:
        resume_hash: of its newest resume token, as each connection of a client gets another; None: of any.
    """
    token = cast(resume_hash, LargeBinary)
    newest = token.is_(None) | (sessions.c.resume_hash == token)
    return select(sessions.c.id).where(is_ours(session_id, gateway_id, epoch), newest)


@statement
def held_sessions(gateway_id: str) -> Select[Any]:
    """Return every conversation that this gateway holds, with its epoch. It has lost any that is not among them.

    `end_wanted` says why the session is asked to end; None: it is not. `is_waiting` is true if it has a ready result:
    so each doorbell is only a hint.
    """
    ready = exists(select(jobs.c.id).where(jobs.c.session_id == sessions.c.id, jobs.c.delivery == Delivery.READY))
    return select(sessions.c.id, sessions.c.epoch, sessions.c.end_wanted, ready.label("is_waiting")).where(
        sessions.c.gateway_id == gateway_id, sessions.c.state.in_(OWNED)
    )


@statement
def next_epoch(session_id: UUID, gateway_id: str, epoch: int) -> ReturningUpdate[Any]:
    """Increment the epoch before a rebuilt upstream conversation begins, which fences the old one. Returns the new
    epoch.

    0 rows: the session is no longer this gateway's.
    """
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch), is_alive(gateway_id))
        .values(epoch=sessions.c.epoch + 1, upstream_id=None)
        .returning(sessions.c.epoch)
    )


@statement
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
    """Resume a session with its token: this gateway owns it from now on, in its next epoch.

    The token is used up and `new_hash` takes its place; of two clients that come at once, one gets the row. 0 rows: the
    token is unknown, used, expired or another user's. `old_gateway_id` is the former owner, which is fenced now.
    Idempotent: if the gateway runs it again because the reply was lost, it finds its `new_hash`, which no other client
    has.

    Args:
        agent: the only agent that the client may use; None: any.
        credential: what the client authenticated with now; if that is revoked, the session ends. None: unchanged.
        claims: facts about the user now. None: unchanged.
        policy: "browser" or "trusted", for the client from now on. None: unchanged.
    """
    found = (
        select(sessions.c.id, sessions.c.gateway_id, sessions.c.state)
        .where(_may_resume((resume_hash, new_hash), user_id, tenant, agent))
        .with_for_update()
        .cte("found")
    )
    return (
        update(sessions)
        .where(sessions.c.id == found.c.id, is_alive(gateway_id))
        .values(
            epoch=sessions.c.epoch + 1,
            gateway_id=gateway_id,
            state="open",
            resume_hash=new_hash,
            resume_until=null(),
            upstream_id=None,
            credential=func.coalesce(type_coerce(credential, Text), sessions.c.credential),
            claims=func.coalesce(type_coerce(claims, JSONB(none_as_null=True)), sessions.c.claims),
            policy=func.coalesce(type_coerce(policy, Text), sessions.c.policy),
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


@statement
def resumable(
    resume_hash: bytes, *, user_id: str, tenant: str = DEFAULT_TENANT, agent: str | None = None
) -> Select[Any]:
    """Return one row if this token is valid: `resume` then failed for another reason."""
    return select(sessions.c.id).where(_may_resume((resume_hash,), user_id, tenant, agent))


@statement
def drain(gateway_id: str) -> Update:
    """Mark this gateway's sessions as draining: they go on, and no new session begins."""
    is_open = (sessions.c.gateway_id == gateway_id) & (sessions.c.state == "open")
    # In the order of `held`: a statement for many sessions and this one would else wait for each other.
    found = select(sessions.c.id).where(is_open).order_by(sessions.c.id).with_for_update(key_share=True).cte("found")
    return update(sessions).where(sessions.c.id == found.c.id, is_open).values(state="draining")


@statement
def detach(session_id: UUID, gateway_id: str, epoch: int) -> Update:
    """Detach a session whose client left without a close, or was asked to come back. It may resume for
    `resume_seconds`. A call waits as long for another gateway, also if it is asked to end: then that one hangs up.

    0 rows: the session cannot be resumed, is asked to end, or is no longer this gateway's.
    """
    return (
        update(sessions)
        .where(
            is_ours(session_id, gateway_id, epoch),
            sessions.c.resume_seconds.is_not(None),
            sessions.c.end_wanted.is_(None) | sessions.c.call_id.is_not(None),
        )
        .values(state="detached", resume_until=now() + seconds(sessions.c.resume_seconds))
    )


@statement
def end_session(session_id: UUID, gateway_id: str, epoch: int, reason: str) -> Update:
    """End a session. Only its owner may."""
    return (
        update(sessions)
        .where(is_ours(session_id, gateway_id, epoch))
        .values(state="ended", ended_at=now(), end_reason=reason, resume_hash=None)
    )


@statement
def keep_for_history(session_id: UUID) -> Update:
    """Keep results for the history that came too late for their conversation. Run it after `end_session`."""
    late = (
        select(jobs.c.id)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(jobs.c.session_id == session_id, jobs.c.delivery == Delivery.READY, sessions.c.state == "ended")
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("late")
    )
    return update(jobs).where(jobs.c.id == late.c.id).values(delivery=Delivery.HISTORY_ONLY)


def owners(session_ids: Iterable[UUID]) -> Bound:
    """Return those of these sessions that a gateway holds: `(id, gateway_id)`, to notify that gateway."""
    return _owners(list(session_ids))


@statement
def _owners(session_ids: list[UUID]) -> Select[Any]:
    return select(sessions.c.id, sessions.c.gateway_id).where(
        sessions.c.id == any_(type_coerce(session_ids, ARRAY(Uuid))),
        is_now(sessions.c.state, *OWNED),
        sessions.c.gateway_id.is_not(None),
    )


def _may_resume(hashes: Iterable[bytes], user_id: str, tenant: str, agent: str | None) -> ColumnElement[bool]:
    wanted = type_coerce(agent, Text)
    return (wanted.is_(None) | (sessions.c.agent == wanted)) & (
        or_(*(sessions.c.resume_hash == each for each in hashes))
        & (sessions.c.user_id == user_id)
        & (sessions.c.tenant == tenant)
        & (sessions.c.state != "ended")
        & sessions.c.end_wanted.is_(None)
        & ((sessions.c.state != "detached") | (sessions.c.resume_until > now()))
    )


def is_ours(
    session_id: UUID | ColumnElement[UUID], gateway_id: str, epoch: int | ColumnElement[int]
) -> ColumnElement[bool]:
    """Return true if this gateway holds the conversation in this epoch."""
    return (
        (sessions.c.id == session_id)
        & (sessions.c.gateway_id == gateway_id)
        & (sessions.c.epoch == epoch)
        & is_now(sessions.c.state, *OWNED)
    )


def ours(gateway_id: str, session_ids: list[UUID], epochs: list[int]) -> Select[Any]:
    """Select those of the sessions that this gateway holds, each in its epoch: `id`, `tenant`, `epoch`."""
    ids = type_coerce(session_ids, ARRAY(Uuid))
    named = func.unnest(ids, type_coerce(epochs, ARRAY(BigInteger)))
    claimed = named.table_valued(column("id", Uuid), column("epoch", BigInteger)).render_derived("claimed")
    return (
        select(sessions.c.id, sessions.c.tenant, sessions.c.epoch)
        .join_from(claimed, sessions, sessions.c.id == claimed.c.id)
        .where(is_ours(claimed.c.id, gateway_id, claimed.c.epoch))
    )


def held(gateway_id: str, session_ids: list[UUID], epochs: list[int]) -> CTE:
    """Select the sessions that this gateway holds, as `ours`, and lock them.

    An epoch that begins meanwhile waits for the statement, and its replay has what that wrote. Or the statement waits
    for the epoch, and writes nothing for its session. One for several sessions holds all their rows while it waits for
    one, so it soon gives up (`LockNotAvailable`).
    """
    several = func.cardinality(type_coerce(session_ids, ARRAY(Uuid))) > 1
    wait = case((several, LOCK_WAIT_OF_MANY), else_=func.current_setting("lock_timeout"))
    patience = select(func.set_config("lock_timeout", wait, True)).cte("patience")
    mine = ours(gateway_id, session_ids, epochs).join(patience, true())
    return mine.order_by(sessions.c.id).with_for_update(read=True, of=sessions).cte("mine")
