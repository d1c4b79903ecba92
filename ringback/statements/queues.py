"""How full the queues are: what waits, what runs, and how long a call takes, as the rows tell it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Text, column, func, literal_column, select, text, true
from sqlalchemy.sql.elements import ColumnElement

from ringback.jobs import JobState
from ringback.statements.clock import now, seconds_since
from ringback.statements.jobs import may_be_published
from ringback.statements.processes import holds_its_lease
from ringback.tables import RAN, jobs, processes

COUNTED_AT_MOST = 1_000
"""Waiting calls of one queue that are counted: beyond that the wait is too long to be told to a caller anyway."""
MEASURED = 32
"""The newest calls of a queue whose durations are averaged: enough to be steady, few enough to follow a change."""


def loads() -> Select[Any]:
    """One row for each queue that a live worker consumes: `queue`, `pending`, `running`, `slots`, `mean_seconds`.

    `running` counts all that the queue's workers run: who serves two queues has its slots taken by both.
    `mean_seconds` is the larger of two measurements: how long the queue's newest calls took, and for how long those
    that run now have been running; null where there is neither.
    """
    workers = _workers()
    queue = workers.c.queue
    running = func.sum(workers.c.running)
    so_far = func.sum(workers.c.running_seconds) / func.nullif(running, 0)
    return select(
        queue,
        _pending(queue).label("pending"),
        running.label("running"),
        func.sum(workers.c.slots).label("slots"),
        # greatest() leaves out what is null.
        func.greatest(_took(queue), so_far).label("mean_seconds"),
    ).group_by(queue)


def _workers() -> Any:
    """One row for each queue of each live worker."""
    consumed = func.jsonb_array_elements_text(processes.c.queues).table_valued(column("name", Text)).render_derived()
    busy = (
        select(func.count().label("running"), func.sum(seconds_since(jobs.c.started_at)).label("seconds"))
        .where(jobs.c.worker_id == processes.c.id, jobs.c.state == JobState.RUNNING)
        .lateral()
    )
    return (
        select(
            consumed.c.name.label("queue"),
            processes.c.slots,
            busy.c.running,
            func.coalesce(busy.c.seconds, 0).label("running_seconds"),
        )
        .select_from(processes.join(consumed, true()).join(busy, true()))
        .where(processes.c.kind == "worker", holds_its_lease())
        .subquery()
    )


def _pending(queue: ColumnElement[Any]) -> ColumnElement[Any]:
    waiting = (
        select(literal_column("1"))
        .where(
            jobs.c.queue == queue,
            jobs.c.state == JobState.PENDING,
            may_be_published(),
            jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()),
        )
        .limit(COUNTED_AT_MOST)
        .correlate_except(jobs)
        .subquery()
    )
    return select(func.count()).select_from(waiting).scalar_subquery()


def _took(queue: ColumnElement[Any]) -> ColumnElement[Any]:
    newest = (
        select(func.extract("epoch", jobs.c.finished_at - jobs.c.started_at).label("seconds"))
        .where(jobs.c.queue == queue, text(RAN))
        .order_by(jobs.c.finished_at.desc())
        .limit(MEASURED)
        .correlate_except(jobs)
        .subquery()
    )
    return select(func.avg(newest.c.seconds)).scalar_subquery()
