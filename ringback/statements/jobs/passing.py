"""A call on its way to a worker that has its tool: passed on to another one, or told that there is none.

While a release rolls out, workers of two generations serve one queue. A message may reach a worker that does not have
the tool, or has it in a version whose schema the arguments do not fit.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, Update, exists, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import JobState
from ringback.statements.clock import now, seconds
from ringback.statements.jobs import transitions as statements
from ringback.statements.jobs.admission import PUBLISH_GRACE_SECONDS
from ringback.statements.jobs.gates import is_due
from ringback.statements.processes import holds_its_lease, is_steady
from ringback.statements.row_state import is_now
from ringback.tables import jobs, processes, worker_tools

UNSERVED_SECONDS = 10.0
"""How long no worker may have announced a tool before the model is told: a worker that starts again takes less."""


def pass_on(job_id: UUID, pause: float) -> ReturningUpdate[Any]:
    """Leave a call to a worker that has its tool: publish it (`id`, `queue`) in `pause` seconds.

    It costs no attempt, and moves no deadline. The queue is that of a worker which announces the tool: a newer version
    may name another one. 0 rows: no worker has announced it for UNSERVED_SECONDS, or the call is not to be had.
    """
    queue = _announced_queue()
    return (
        update(jobs)
        .where(jobs.c.id == job_id, is_due(), jobs.c.deadline_at > now(), queue.is_not(None))
        .values(queue=queue, **_published_in(pause))
        .returning(jobs.c.id, jobs.c.queue)
    )


def claim_unserved(job_id: UUID, worker_id: str, token: UUID, tool: str) -> ReturningUpdate[Any]:
    """Claim a call that no worker can run, to answer it. 0 rows: one may have the tool, or it is not to be had.

    After an outage of Postgres every lease has run out, and the tool is not gone: this worker must have been steady.
    """
    announced = exists(select(worker_tools.c.name).join(processes).where(worker_tools.c.name == tool, _lately()))
    return statements.claim(job_id, worker_id, token, (tool,)).where(~announced, is_steady(worker_id))


def other_versions(tool: str, version: str) -> Select[Any]:
    """What living workers announce under this name in other versions than this one: `parameters` and `queue`."""
    return (
        select(worker_tools.c.parameters, worker_tools.c.queue)
        .join(processes)
        .where(worker_tools.c.name == tool, worker_tools.c.version != version, holds_its_lease())
        .ext(distinct_on(worker_tools.c.version))
        .order_by(worker_tools.c.version, processes.c.started_at.desc())
    )


def pass_back(job_id: UUID, token: UUID, queue: str, pause: float) -> Update:
    """Undo the claim of a job that was not begun, and leave it to the workers of `queue`. It costs no attempt.

    0 rows: the job is over, was cancelled, or is another worker's by now.
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
    """The worker publishes it in time; a sweeper does, a little later, if that one is gone."""
    return {"publish_after": now() + seconds(pause + PUBLISH_GRACE_SECONDS), "publish_count": 0}


def _announced_queue() -> ScalarSelect[Any]:
    """The queue of a worker that announces the job's tool, or has lately: of a living one, and the same one, first."""
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
    """True for a worker that held its lease within the last UNSERVED_SECONDS; one that ends in order gives it up."""
    return processes.c.lease_until > now() - seconds(UNSERVED_SECONDS)
