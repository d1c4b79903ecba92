"""Sign-ins to the console, and links that sign in once: rows of `client_secrets`.

Their `uses_left` is 0, so that they open no conversation. A sign-in ends with what a client secret ends with: its key
is revoked, its user signs out or is erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    LargeBinary,
    Select,
    and_,
    any_,
    exists,
    insert,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds
from ringback.statements.identity.credentials import key_is_valid, secret_is_not_void
from ringback.tables import api_keys, client_secrets


@statement
def begin(
    sign_in: UUID,
    digest: bytes,
    *,
    tenant: str,
    user: str,
    minted_by: str,
    key_id: UUID | None,
    claims: dict[str, Any],
    seconds_valid: float,
) -> ReturningInsert[Any]:
    """Insert a sign-in; returns `id`.

    Args:
        digest: of the cookie's value.
        minted_by, key_id: the credential that it was made with, as for a client secret.
        claims: `scopes`, and `mark` of a token of the settings.
    """
    row = {"id": sign_in, "hash": digest, "tenant": tenant, "user_id": user, "minted_by": minted_by, "key_id": key_id}
    row |= {"claims": claims, "uses_left": 0, "expires_at": now() + seconds(seconds_valid)}
    return insert(client_secrets).values(**row).returning(client_secrets.c.id)


@statement
def by_digest(digest: bytes) -> Select[Any]:
    """Return the valid sign-in whose cookie has this hash: `id`, `tenant`, `user_id`, `minted_by`, `key_id`,
    `claims`.
    """
    names = ("id", "tenant", "user_id", "minted_by", "key_id", "claims")
    return select(*(client_secrets.c[name] for name in names)).where(client_secrets.c.hash == digest, _is_valid())


@statement
def valid_among(digests: Sequence[bytes]) -> Select[Any]:
    """Return the `hash` of each of these sign-ins that is valid."""
    is_asked = client_secrets.c.hash == any_(type_coerce(digests, ARRAY(LargeBinary)))
    return select(client_secrets.c.hash).where(is_asked, _is_valid())


@statement
def end(digest: bytes) -> ReturningUpdate[Any]:
    """End the sign-in whose cookie has this hash. 0 rows: there is none, or it is over; of two at once, one ends it."""
    it = and_(client_secrets.c.hash == digest, client_secrets.c.revoked_at.is_(None))
    return update(client_secrets).where(it).values(revoked_at=now()).returning(client_secrets.c.id)


def _is_valid() -> ColumnElement[bool]:
    key_is_good = exists(select(api_keys.c.id).where(api_keys.c.id == client_secrets.c.key_id, key_is_valid()))
    return and_(
        client_secrets.c.expires_at > now(),
        secret_is_not_void(),
        or_(client_secrets.c.key_id.is_(None), key_is_good),
    )
