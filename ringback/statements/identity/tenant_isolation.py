"""Row-level security between tenants, for every read on a caller's behalf.

Every statement of `history` names the tenant by itself. If a statement forgot to, it would still read the rows of one
tenant only, and no token, hash or encrypted value: the role may read none of these columns
(migrations/versions/0005_walls.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from ringback.postgres.statement import statement

ROLE = "ringback_tenant"
"""Role that owns no table and cannot log in. `ringback migrate` creates it."""
SETTING = "ringback.tenant"
"""Setting that names the tenant whose rows the role sees."""


@statement
def restrict_to(tenant: str) -> Select[Any]:
    """Restrict the rest of the transaction to reading this tenant's rows."""
    return select(
        func.set_config(SETTING, tenant, True).label("tenant"), func.set_config("role", ROLE, True).label("role")
    )


@statement
def is_restricted() -> Select[Any]:
    """Return true if row-level security restricts this database user itself, which should own the tables."""
    return select(func.row_security_active("sessions"))
