"""Statements that tell whose jobs have changed, for pages that follow them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from ringback.postgres.statement import statement
from ringback.tables import job_events


@statement
def newest_event() -> Select[Any]:
    """Return the `id` of the newest event of a job; null if there is none."""
    return select(func.max(job_events.c.id).label("newest"))


@statement
def changed_tenants(after: int) -> Select[Any]:
    """Return each `tenant` whose jobs have events after that one, and the `newest` of them."""
    newest = func.max(job_events.c.id).label("newest")
    return select(job_events.c.tenant, newest).where(job_events.c.id > after).group_by(job_events.c.tenant)
