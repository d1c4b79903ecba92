"""Acts of operators on who may come in, and on what a tenant may use. Each is in the audit log.

The sessions that began with what is revoked end by later statements (`ringback.statements.session_end`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, literal, select, union_all

from ringback.history.operators import ActName
from ringback.statements import erasure
from ringback.statements.identity import credentials, tenants
from ringback.statements.operators.audit import ERASED, Operator, recorded


def create_key(
    who: Operator, key_id: UUID, digest: bytes, *, user: str, scopes: Iterable[str], seconds_valid: float | None
) -> Select[Any]:
    """Insert a key of the operator's tenant, as `credentials.create_key`."""
    made = credentials.create_key(
        key_id, digest, user=user, tenant=who.tenant, scopes=scopes, seconds_valid=seconds_valid
    )
    return recorded(made.cte("made"), who, ActName.CREATE_KEY, str(key_id))


def revoke_key(who: Operator, key_id: UUID) -> Select[Any]:
    """Revoke a key, as `credentials.revoke_key`."""
    return recorded(credentials.revoke_key(key_id, who.tenant).cte("revoked"), who, ActName.REVOKE_KEY, str(key_id))


def sign_out(who: Operator, user: str) -> Select[Any]:
    """Sign a user out, as `credentials.sign_out`."""
    return recorded(credentials.sign_out(who.tenant, user).cte("signed_out_now"), who, ActName.SIGN_OUT, user)


def erase(who: Operator, user: str) -> Select[Any]:
    """Begin to erase a user: `erasure.mark` and `erasure.forget_user` in one statement.

    The audit log keeps who erased, and not whom. Returns one row for each changed one, whose `kind` is `sessions` (they
    are marked) or of `erasure.FORGOTTEN`. 0 rows: there is no such user, or the erasure began before.
    """
    forgotten = zip(erasure.FORGOTTEN, erasure.forget_user(who.tenant, user), strict=True)
    steps = {"sessions": erasure.mark(who.tenant, user), **dict(forgotten)}
    changed = [
        select(literal(kind).label("kind")).select_from(step.cte(f"erased_{kind}")) for kind, step in steps.items()
    ]
    return recorded(union_all(*changed).cte("changed"), who, ActName.ERASE_USER, ERASED)


def limit_tenant(who: Operator, limits: dict[str, Any], defaults: Iterable[str]) -> Select[Any]:
    """Set limits of the operator's tenant, as `tenants.set_quotas`."""
    return recorded(
        tenants.set_quotas(who.tenant, limits, defaults).cte("limited"), who, ActName.LIMIT_TENANT, who.tenant
    )


def retain_tenant(who: Operator, days: int | None) -> Select[Any]:
    """Set for how many days sessions of the operator's tenant are kept, as `tenants.set_retention`."""
    return recorded(tenants.set_retention(who.tenant, days).cte("retained"), who, ActName.RETAIN_TENANT, who.tenant)
