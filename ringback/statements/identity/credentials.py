"""API keys, client secrets and sign-outs. A secret is found by its hash, is spent once, and can be revoked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.history.pagination import IdRange
from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds, statement_time
from ringback.tables import api_keys, client_secrets, sessions, signed_out


def create_key(
    key_id: UUID, digest: bytes, *, user: str, tenant: str, scopes: Iterable[str], seconds_valid: float | None
) -> ReturningInsert[Any]:
    """Insert an API key. Returns the row as `keys` does."""
    return (
        insert(api_keys)
        .values(
            id=key_id,
            hash=digest,
            user_id=user,
            tenant=tenant,
            scopes=sorted(scopes),
            expires_at=null() if seconds_valid is None else now() + seconds(seconds_valid),
        )
        .returning(*_shown())
    )


@statement
def key_by_hash(digest: bytes) -> Select[Any]:
    """Return the valid key with that hash: `id`, `tenant`, `user_id`, `scopes`."""
    found = select(api_keys.c.id, api_keys.c.tenant, api_keys.c.user_id, api_keys.c.scopes)
    return found.where(api_keys.c.hash == digest, key_is_valid())


@statement
def key_is_good(key_id: UUID) -> Select[Any]:
    """Return one row if that key is valid."""
    return select(api_keys.c.id).where(api_keys.c.id == key_id, key_is_valid())


def keys(tenant: str | None = None, limit: int = 200) -> Select[Any]:
    """Return keys, newest first, with every column but the hash. `tenant` None: those of all tenants."""
    found = select(*_shown()).order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()).limit(limit)
    return found if tenant is None else found.where(api_keys.c.tenant == tenant)


def keys_in(ids: IdRange, tenant: str | None = None) -> Select[Any]:
    """Return at most two keys in a range of ids: one row is unambiguous, two are not."""
    found = select(*_shown()).where(api_keys.c.id.between(ids.first, ids.last)).order_by(api_keys.c.id).limit(2)
    return found if tenant is None else found.where(api_keys.c.tenant == tenant)


def revoke_key(key_id: UUID, tenant: str) -> ReturningUpdate[Any]:
    """Revoke a key and every client secret made with it. 0 rows: no such key, or it is revoked already."""
    return (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.tenant == tenant)
        .where(api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now())
        .returning(*_shown())
    )


@statement
def mint_secret(
    secret_id: UUID,
    digest: bytes,
    *,
    tenant: str,
    user: str,
    minted_by: str,
    key_id: UUID | None,
    agent: str,
    claims: dict[str, Any],
    uses: int,
    seconds_valid: float,
    limit: int,
) -> ReturningInsert[Any]:
    """Insert a client secret. Returns `expires_at`, in seconds since 1970.

    Args:
        minted_by: who asks for it: a credential as in `sessions.credential`, or a `person`.
        key_id: the API key that it was made with; if the key is revoked, so is the secret.
        limit: most valid secrets that the tenant may have at once. 0 rows: the limit is reached.

    Idempotent: if the caller runs it again because the reply was lost, it finds the row it wrote.
    """
    good = (
        select(literal(1))
        .where(client_secrets.c.tenant == tenant, _secret_has_uses(), client_secrets.c.revoked_at.is_(None))
        .where(client_secrets.c.expires_at > statement_time())  # statement_time(), as an index is searched by it
        .limit(limit)
        .subquery()
    )
    there_is_room = select(func.count()).select_from(good).scalar_subquery() < limit
    is_there = exists(select(client_secrets.c.id).where(client_secrets.c.id == secret_id))
    given = {"id": secret_id, "hash": digest, "tenant": tenant, "user_id": user, "minted_by": minted_by}
    given |= {"key_id": key_id, "agent": agent, "claims": claims, "uses_left": uses}
    columns: dict[str, ColumnElement[Any]] = {
        **{name: type_coerce(value, client_secrets.c[name].type) for name, value in given.items()},
        "expires_at": now() + seconds(seconds_valid),
    }
    return (
        upsert(client_secrets)
        .from_select(list(columns), select(*columns.values()).where(there_is_room | is_there))
        .on_conflict_do_update(index_elements=["id"], set_={"id": secret_id})
        .returning(func.floor(func.extract("epoch", client_secrets.c.expires_at)).label("expires_at"))
    )


def person(user: str) -> str:
    """Return `client_secrets.minted_by` for a user whom an identity provider vouches for; a sign-out matches it."""
    return f"user:{user}"


def minted_by(user: str, tenant: str) -> Select[Any]:
    """Return the secrets that this user made, as `sessions.credential` names them."""
    return select(secret_credential()).where(
        client_secrets.c.tenant == tenant, client_secrets.c.minted_by == person(user)
    )


@statement
def secret_by_hash(digest: bytes, resume_hash: bytes | None = None) -> Select[Any]:
    """Return the secret with that hash if it is not revoked: `id`, `tenant`, `user_id`, `agent`, `claims`, and

    `is_good`: a session can begin with it; `began`: the session that `resume_hash` resumes began with it; `resumes`: a
    session exists that `resume_hash` resumes.
    """
    resumed = select(sessions.c.id).where(sessions.c.resume_hash == resume_hash)
    named, began = exists(resumed), exists(resumed.where(sessions.c.credential == secret_credential()))
    return select(
        client_secrets.c.id,
        client_secrets.c.tenant,
        client_secrets.c.user_id,
        client_secrets.c.agent,
        client_secrets.c.claims,
        _secret_has_uses().label("is_good"),
        began.label("began"),
        named.label("resumes"),
    ).where(client_secrets.c.hash == digest, secret_is_not_void())


def secret_credential() -> ColumnElement[str]:
    """Return a secret's name as `sessions.credential` holds it."""
    return literal("secret:") + func.cast(client_secrets.c.id, sessions.c.credential.type)


@statement
def secret_is_good(secret_id: UUID) -> Select[Any]:
    """Return one row if that secret is not revoked, spent or not."""
    return select(client_secrets.c.id).where(client_secrets.c.id == secret_id, secret_is_not_void())


@statement
def spend_secret(secret_id: UUID, visit: UUID) -> ReturningUpdate[Any]:
    """Take one use. Of two clients that come at once, one gets the last use. 0 rows: no use is left, or it is revoked.

    Idempotent: if the gateway runs it again because the reply was lost, it finds this visit in the row and takes no
    use.
    """
    mine = client_secrets.c.spent_by.is_not_distinct_from(visit)
    return (
        update(client_secrets)
        .where(client_secrets.c.id == secret_id, or_(mine, _secret_has_uses()), secret_is_not_void())
        .values(uses_left=client_secrets.c.uses_left - case((mine, 0), else_=1), spent_by=visit)
        .returning(client_secrets.c.id)
    )


@statement
def return_secret(secret_id: UUID, visit: UUID) -> ReturningUpdate[Any]:
    """Return the use that this visit took, once: the visit led to no session."""
    return (
        update(client_secrets)
        .where(client_secrets.c.id == secret_id, client_secrets.c.given_back_by.is_distinct_from(visit))
        .values(uses_left=client_secrets.c.uses_left + 1, given_back_by=visit)
        .returning(client_secrets.c.id)
    )


@statement
def is_signed_out(tenant: str, user: str, issued_at: datetime) -> Select[Any]:
    """Return one row if a token issued to the user at that moment is revoked."""
    return _signed_out_since(tenant, user, issued_at)


@statement
def is_not_signed_out(tenant: str, user: str, issued_at: datetime) -> Select[Any]:
    """Return one row if a token issued to the user at that moment is valid."""
    return select(literal(1)).where(~exists(_signed_out_since(tenant, user, issued_at)))


def sign_out(tenant: str, user: str) -> ReturningInsert[Any]:
    """Revoke every token issued to the user until now, by any issuer. Returns `before`."""
    row = upsert(signed_out).values(tenant=tenant, user_id=user, before=now())
    return row.on_conflict_do_update(
        index_elements=[signed_out.c.tenant, signed_out.c.user_id], set_={"before": now()}
    ).returning(signed_out.c.before)


def revoke_secrets(tenant: str, user: str) -> ReturningUpdate[Any]:
    """Revoke the user's secrets and those they made, so that they no longer count against the limit.

    After `sign_out` these secrets open no session in any case.
    """
    return (
        update(client_secrets)
        .where(client_secrets.c.tenant == tenant, _secret_has_uses(), client_secrets.c.revoked_at.is_(None))
        .where(or_(client_secrets.c.user_id == user, client_secrets.c.minted_by == person(user)))
        .values(revoked_at=now())
        .returning(client_secrets.c.id)
    )


@statement
def keys_of(tenant: str, user: str) -> Select[Any]:
    """Return the user's API keys that are still valid."""
    return select(api_keys.c.id).where(api_keys.c.tenant == tenant, api_keys.c.user_id == user, key_is_valid())


def _signed_out_since(tenant: str, user: str, issued_at: datetime) -> Select[Any]:
    return select(signed_out.c.before).where(
        signed_out.c.tenant == tenant, signed_out.c.user_id == user, signed_out.c.before >= issued_at
    )


def _shown() -> tuple[ColumnElement[Any], ...]:
    names = ("id", "tenant", "user_id", "scopes", "created_at", "expires_at", "revoked_at")
    return tuple(api_keys.c[name] for name in names)


def key_is_valid() -> ColumnElement[bool]:
    """Return true of a row of `api_keys` that is neither revoked nor expired."""
    return and_(
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now()),
    )


def _secret_has_uses() -> ColumnElement[bool]:
    return and_(client_secrets.c.uses_left > 0, client_secrets.c.expires_at > now())


def secret_is_not_void() -> ColumnElement[bool]:
    """Return true if neither the secret nor its key is revoked, and neither its user nor its maker signed out since."""
    revoked = exists(
        select(api_keys.c.id).where(api_keys.c.id == client_secrets.c.key_id, api_keys.c.revoked_at.is_not(None))
    )
    since = exists(
        select(signed_out.c.before).where(
            signed_out.c.tenant == client_secrets.c.tenant,
            or_(
                signed_out.c.user_id == client_secrets.c.user_id,
                literal("user:") + signed_out.c.user_id == client_secrets.c.minted_by,
            ),
            signed_out.c.before >= client_secrets.c.created_at,
        )
    )
    return and_(client_secrets.c.revoked_at.is_(None), ~revoked, ~since)
