"""Steps of jobs, for the traces of their calls: when each was queued, claimed, given back and finished."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Double, Select, Uuid, any_, extract, func, select, type_coerce

from ringback.postgres.statement import statement
from ringback.tables import job_events


@statement
def steps_of(job_ids: list[UUID]) -> Select[Any]:
    """Select the events of these jobs, oldest first: `job_id`, `at` (Unix seconds), what changed, and an error's code.

    An error's message is not selected, as it may hold what a call holds.
    """
    return (
        select(
            job_events.c.job_id,
            func.cast(extract("epoch", job_events.c.at), Double).label("at"),
            job_events.c.state,
            job_events.c.attempt,
            job_events.c.worker_id,
            job_events.c.approval,
            job_events.c.error["code"].astext.label("code"),
        )
        .where(job_events.c.job_id == any_(type_coerce(job_ids, ARRAY(Uuid))))
        # By the job first: by the id alone, Postgres would rather walk the primary key.
        .order_by(job_events.c.job_id, job_events.c.id)
    )
