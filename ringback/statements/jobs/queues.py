"""How full the queues are: what waits, what runs, and how long a call takes, as the rows tell it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, FromClause, Select, Text, case, column, func, literal_column, select, text, true
from sqlalchemy.sql.elements import ColumnElement

from ringback.jobs.states import JobState
from ringback.statements.clock import now, seconds_since
from ringback.statements.jobs.transitions import may_be_published
from ringback.statements.processes import holds_its_lease
from ringback.statements.row_state import waits
from ringback.tables import RAN, jobs, processes

COUNTED_AT_MOST = 1_000
"""Waiting calls of one queue that are counted: beyond that the wait is too long to be told to a caller anyway."""
MEASURED = 32
"""The newest calls of a queue whose durations are averaged: enough to be steady, few enough to follow a change."""
LEAST_SECONDS = 0.001
"""That a call is taken to need: one that begins at this moment has needed none, and says nothing of its end."""


def loads() -> Select[Any]:
    """One row for each queue that a live worker consumes: `queue`, `pending`, `running`, `slots`, `mean_seconds`,
    `end_every`.

    `running` counts all that the queue's workers run: who serves two queues has its slots taken by both. `slots` is 0
    where one of them does not tell how many it has, as those of an older version do not: nothing is known then.
    `mean_seconds` is how long the queue's newest calls took. `end_every` is how often one of those that run now ends,
    in seconds: each is taken to need what the newest of its own queue took, or as long as it has been running. Either
    is null where there is none.
    """
    consumed = _consumed()
    took = _took(consumed)
    busy = _busy(consumed, took)
    queue = consumed.c.queue
    slots = case((func.min(consumed.c.slots) > 0, func.sum(consumed.c.slots)), else_=0)
    return (
        select(
            queue,
            _pending(queue).label("pending"),
            func.sum(busy.c.running).label("running"),
            slots.label("slots"),
            took.c.mean_seconds,
            (1 / func.sum(busy.c.ends)).label("end_every"),
        )
        .select_from(consumed.join(took, took.c.queue == queue).join(busy, true()))
        .group_by(queue, took.c.mean_seconds)
    )


def _consumed() -> CTE:
    """One row for each queue of each live worker."""
    names = func.jsonb_array_elements_text(processes.c.queues).table_valued(column("name", Text)).render_derived()
    return (
        select(processes.c.id.label("worker_id"), processes.c.slots, names.c.name.label("queue"))
        .select_from(processes.join(names, true()))
        .where(processes.c.kind == "worker", holds_its_lease())
        .cte("consumed")
    )


def _busy(consumed: CTE, took: CTE) -> FromClause:
    """How many calls a worker runs, and how many of them end in a second."""
    its = took.alias("its")
    needs = func.greatest(
        its.c.mean_seconds, seconds_since(jobs.c.started_at), LEAST_SECONDS
    )  # leaves out what is null
    return (
        select(func.count().label("running"), func.sum(1 / needs).label("ends"))
        .select_from(jobs.outerjoin(its, its.c.queue == jobs.c.queue))
        .where(jobs.c.worker_id == consumed.c.worker_id, jobs.c.state == JobState.RUNNING)
        .lateral("busy")
    )


def _pending(queue: ColumnElement[Any]) -> ColumnElement[Any]:
    waiting = (
        select(literal_column("1"))
        .where(
            jobs.c.queue == queue,
            waits(),
            may_be_published(),
            jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()),
        )
        .limit(COUNTED_AT_MOST)
        .correlate_except(jobs)
        .subquery()
    )
    return select(func.count()).select_from(waiting).scalar_subquery()


def _took(consumed: CTE) -> CTE:
    """How long the newest calls of each of these queues took."""
    queues = select(consumed.c.queue).distinct().subquery()
    newest = (
        select(func.extract("epoch", jobs.c.finished_at - jobs.c.started_at).label("seconds"))
        .where(jobs.c.queue == queues.c.queue, text(RAN))
        .order_by(jobs.c.finished_at.desc())
        .limit(MEASURED)
        .correlate(queues)
        .subquery()
    )
    mean = select(func.avg(newest.c.seconds)).scalar_subquery()
    return select(queues.c.queue, mean.label("mean_seconds")).cte("took")
