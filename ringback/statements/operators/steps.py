"""Steps of calls in the order in which they were written, for a reader that follows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from ringback.history.pagination import JobQuery
from ringback.tables import job_events, jobs

AT_ONCE = 500
"""Steps of one look."""
OVERLAP = 200
"""Ids before the last one that are read again: a transaction that was long may have committed one of them since."""


def last() -> Select[Any]:
    """Return the id of the newest step; 0 if there is none."""
    return select(func.coalesce(func.max(job_events.c.id), 0))


def since(tenant: str, query: JobQuery, event: int) -> Select[Any]:
    """Return the steps after this one that fit the filters, and some before it that were shown perhaps: oldest first.

    Of each step: `event`, `at`, `state`, `delivery`, `attempt`, `worker_id`, `error`, `approval`; of its job: `id`,
    `session_id`, `tool`, `queue`, `rerun_of` and `summary`.
    """
    filters = [
        jobs.c.session_id == query.session if query.session else None,
        jobs.c.tool == query.tool if query.tool else None,
        jobs.c.queue == query.queue if query.queue else None,
        job_events.c.state.in_(query.state) if query.state else None,
    ]
    step = ("at", "state", "delivery", "attempt", "worker_id", "error", "approval")
    job = ("id", "session_id", "tool", "queue", "rerun_of", "summary")
    return (
        select(job_events.c.id.label("event"), *(job_events.c[name] for name in step), *(jobs.c[name] for name in job))
        .join(jobs, jobs.c.id == job_events.c.job_id)
        .where(
            job_events.c.tenant == tenant,
            job_events.c.id > event - OVERLAP,
            job_events.c.id > 0,
            *(each for each in filters if each is not None),
        )
        .order_by(job_events.c.id)
        .limit(AT_ONCE + OVERLAP)
    )
