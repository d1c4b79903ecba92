"""Tenants: quotas and retention of each. A tenant without a row has the gateways' defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, Text, cast, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.sql.dml import ReturningInsert

from ringback.tables import api_keys, tenants

MAX_TENANTS = 10_000
"""Most tenants in one list."""


def all_tenants() -> Select[Any]:
    """Return every tenant that has a row or a key, by name: `tenant`, `allowances`, `retention_days` (None without a
    row).
    """
    names = select(tenants.c.tenant).union(select(api_keys.c.tenant)).subquery("names")
    return (
        select(names.c.tenant, tenants.c.allowances, tenants.c.retention_days)
        .outerjoin_from(names, tenants, tenants.c.tenant == names.c.tenant)
        .order_by(names.c.tenant)
        .limit(MAX_TENANTS)
    )


def one_tenant(tenant: str) -> Select[Any]:
    """Return the tenant's row, if it has one."""
    return select(tenants.c.tenant, tenants.c.allowances, tenants.c.retention_days).where(tenants.c.tenant == tenant)


def set_quotas(tenant: str, limits: dict[str, Any], defaults: Iterable[str]) -> ReturningInsert[Any]:
    """Set these limits of the tenant, and reset those in `defaults` to the gateways' defaults. Others stay.

    Returns `tenant`.

    Args:
        limits: of `ringback.agents.quotas.Quotas`; None means no limit.
    """
    new = insert(tenants).values(tenant=tenant, allowances=literal(limits, JSONB))
    kept = tenants.c.allowances.op("-")(cast(sorted(defaults), ARRAY(Text)))
    merged = kept.op("||")(literal(limits, JSONB))
    changed = new.on_conflict_do_update(index_elements=[tenants.c.tenant], set_={"allowances": merged})
    return changed.returning(tenants.c.tenant)


def set_retention(tenant: str, days: int | None) -> ReturningInsert[Any]:
    """Set for how many days ended sessions are kept; None: the gateways' default. Returns `tenant`."""
    new = insert(tenants).values(tenant=tenant, retention_days=days)
    changed = new.on_conflict_do_update(index_elements=[tenants.c.tenant], set_={"retention_days": days})
    return changed.returning(tenants.c.tenant)
