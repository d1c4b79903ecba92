"""Passing of a call to a worker that has its tool, or the answer that no worker has it.

While a release rolls out, workers of two generations serve one queue. A message may reach a worker that does not have
the tool, or has a version whose schema the arguments do not fit.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, Update, exists, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import JobState
from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds
from ringback.statements.jobs import transitions
from ringback.statements.jobs.admission import PUBLISH_GRACE_SECONDS
from ringback.statements.jobs.gates import is_due
from ringback.statements.processes import holds_its_lease, is_steady
from ringback.statements.row_state import is_now
from ringback.tables import jobs, processes, worker_tools

UNSERVED_SECONDS = 10.0
"""Time without any worker that announces a tool before the model is told. A restart of a worker takes less."""


@statement
def pass_on(job_id: UUID, pause: float) -> ReturningUpdate[Any]:
    """Leave a call to a worker that has its tool: publish it (`id`, `queue`) in `pause` seconds.

    This costs no attempt and moves no deadline. The queue is that of a worker which announces the tool: a newer version
    may name another one. 0 rows: no worker has announced it for UNSERVED_SECONDS, or the call cannot be claimed.
    """
    queue = _announced_queue()
    return (
        update(jobs)
        .where(jobs.c.id == job_id, is_due(), jobs.c.deadline_at > now(), queue.is_not(None))
        .values(queue=queue, **_published_in(pause))
        .returning(jobs.c.id, jobs.c.queue)
    )


@statement
def claim_unserved(job_id: UUID, worker_id: str, token: UUID, tool: str) -> ReturningUpdate[Any]:
    """Claim a call that no worker can run, to answer it. 0 rows: a worker may have the tool, or it cannot be claimed.

    After an outage of Postgres every lease has run out, though the tools still exist: so this worker must be steady.
    """
    announced = exists(select(worker_tools.c.name).join(processes).where(worker_tools.c.name == tool, _lately()))
    return transitions.claiming(job_id, worker_id, token).where(jobs.c.tool == tool, ~announced, is_steady(worker_id))


@statement
def other_versions(tool: str, version: str) -> Select[Any]:
    """Return what living workers announce under this name in other versions: `parameters` and `queue`."""
    return (
        select(worker_tools.c.parameters, worker_tools.c.queue)
        .join(processes)
        .where(worker_tools.c.name == tool, worker_tools.c.version != version, holds_its_lease())
        .ext(distinct_on(worker_tools.c.version))
        .order_by(worker_tools.c.version, processes.c.started_at.desc())
    )


@statement
def pass_back(job_id: UUID, token: UUID, queue: str, pause: float) -> Update:
    """Undo the claim of a job that has not begun, and leave it to the workers of `queue`. This costs no attempt.

    0 rows: the job is over, was cancelled, or another worker has it.
    """
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            is_now(jobs.c.state, JobState.RUNNING),
            jobs.c.token == token,
            jobs.c.effect_started.is_(False),
            jobs.c.cancel_requested.is_(False),
        )
        .values(
            state=JobState.PENDING,
            token=None,
            attempt=jobs.c.attempt - 1,
            error={"code": "handed_back"},
            queue=queue,
            **_published_in(pause),
        )
    )


def _published_in(pause: float) -> dict[str, Any]:
    """Set when the job is published: the worker does it in time; if it is gone, a sweeper does so a little later."""
    return {"publish_after": now() + seconds(pause + PUBLISH_GRACE_SECONDS), "publish_count": 0}


def _announced_queue() -> ScalarSelect[Any]:
    """Return the queue of a worker that announces the job's tool, or lately did. A living worker and the same queue
    come first.
    """
    return (
        select(worker_tools.c.queue)
        .join(processes)
        .where(worker_tools.c.name == jobs.c.tool, _lately())
        .order_by(
            holds_its_lease().desc(), (worker_tools.c.queue == jobs.c.queue).desc(), processes.c.started_at.desc()
        )
        .limit(1)
        .correlate(jobs)
        .scalar_subquery()
    )


def _lately() -> ColumnElement[bool]:
    """Return true for a worker that held its lease within the last UNSERVED_SECONDS; an orderly stop gives it up."""
    return processes.c.lease_until > now() - seconds(UNSERVED_SECONDS)
