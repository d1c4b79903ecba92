"""The wall between tenants that Postgres keeps: row-level security, for whatever is read on a caller's behalf.

Every statement of `history` names the tenant by itself. One that forgot to would still see the rows of one tenant
alone, and no token, hash or sealed value: the role may read none of them (migrations/versions/0005_walls.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

ROLE = "ringback_tenant"
"""Owns nothing and logs in nowhere; who migrates makes it."""
SETTING = "ringback.tenant"
"""Whose rows the role sees."""


def behind(tenant: str) -> Select[Any]:
    """From here on, and until the transaction ends, only rows of this tenant are seen, and nothing can be written."""
    return select(func.set_config(SETTING, tenant, True), func.set_config("role", ROLE, True))


def is_walled_in() -> Select[Any]:
    """True where the wall holds this database user itself, who should own the tables."""
    return select(func.row_security_active("sessions"))
