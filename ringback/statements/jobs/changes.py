"""Statements that tell whose jobs have changed, for pages that follow them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Select, func, select, type_coerce

from ringback.postgres.statement import statement
from ringback.tables import job_events

EVENTS_AT_MOST = 10_000
"""Newest events that one look reads: more than come in the second between two. After a night without a viewer there may
be millions, and no viewer has missed those."""


@statement
def newest_event() -> Select[Any]:
    """Return the `id` of the newest event of a job; null if there is none."""
    return select(func.max(job_events.c.id).label("newest"))


@statement
def changed_tenants(after: int) -> Select[Any]:
    """Return each `tenant` whose jobs have events after that one, and the `newest` of them.

    Of more than EVENTS_AT_MOST events, it reads the newest alone.
    """
    all_events = job_events.alias("all_events")
    first = select(func.max(all_events.c.id) - EVENTS_AT_MOST).scalar_subquery()
    newest = func.max(job_events.c.id).label("newest")
    new = job_events.c.id > func.greatest(type_coerce(after, BigInteger), first)
    return select(job_events.c.tenant, newest).where(new).group_by(job_events.c.tenant)
