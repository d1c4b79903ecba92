"""Acts of operators on who may come in: revoke a key, sign a user out, erase a user. Each is in the audit log.

The sessions that began with what is revoked end by later statements (`ringback.statements.session_end`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, literal, select, union_all

from ringback.history.operators import ActName
from ringback.statements import erasure
from ringback.statements.identity import credentials
from ringback.statements.operators.audit import ERASED, Operator, recorded


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
