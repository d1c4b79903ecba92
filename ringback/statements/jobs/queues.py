"""Load of the queues: how many calls wait and run, and how long a call takes, counted from the rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    CompoundSelect,
    Float,
    FromClause,
    Select,
    Text,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    text,
    true,
    union,
    union_all,
)
from sqlalchemy.sql.elements import ColumnElement

from ringback.jobs.states import Delivery, JobState
from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds_since
from ringback.statements.jobs.transitions import may_be_published
from ringback.statements.processes import holds_its_lease
from ringback.statements.row_state import is_waiting
from ringback.tables import DEFAULT_TENANT, RAN, controls, jobs, processes, tool_gates

COUNTED_AT_MOST = 1_000
"""Waiting calls of one queue that are counted. Beyond that the wait is too long to tell a caller."""
MEASURED = 32
"""Newest calls of a queue whose durations are averaged: enough to be steady, few enough to follow a change."""
LEAST_SECONDS = 0.001
"""Least duration assumed for a call. A call that begins at this moment has run for 0 s, and would seem to end at
once.
"""


@statement
def loads() -> Select[Any]:
    """Return a row for each queue that a live worker consumes: `queue`, `pending`, `running`, `slots`, `mean_seconds`,
    `end_every`.

    `running` counts all calls that the queue's workers run: both queues of a worker that serves two take up its slots.
    `slots` is 0 (unknown) if a worker does not report its slots, as those of an older version do not, or an operator
    has paused the queue; it is at most what an operator allows of the queue. `mean_seconds` is how long the queue's
    newest calls took. `end_every` is how often a running call ends, in seconds: each call is taken
    to need what the newest of its queue took, or as long as it has been running. Both are null without such calls.
    """
    consumed = _consumed()
    took = _took(consumed)
    busy = _busy(consumed, took)
    queue = consumed.c.queue
    control = _control(queue)
    slots = case(
        (func.bool_or(control.c.paused), 0),
        (func.min(consumed.c.slots) > 0, func.least(func.sum(consumed.c.slots), func.min(control.c.concurrency))),
        else_=0,
    )
    return (
        select(
            queue,
            _pending(queue).label("pending"),
            func.sum(busy.c.running).label("running"),
            slots.label("slots"),
            took.c.mean_seconds,
            (1 / func.sum(busy.c.ends)).label("end_every"),
        )
        .select_from(consumed.join(took, took.c.queue == queue).join(busy, true()).outerjoin(control, true()))
        .group_by(queue, took.c.mean_seconds)
    )


@statement
def backlog() -> CompoundSelect[Any]:
    """Return what waits, for the metrics: a row (`what`, `name`, `number`) for each of these.

    "oldest": a queue that a live worker consumes, or in which calls wait, and the age in seconds of its oldest pending
    call that may run; 0 if there is none. "breaker": a tool whose breaker has opened, and 1 while it is open.
    "results": how many results wait for their conversation, counted up to `COUNTED_AT_MOST`.
    """
    waits = (is_waiting(), may_be_published())
    some = select(jobs.c.queue).where(*waits).limit(COUNTED_AT_MOST).subquery()
    named = union(select(_consumed().c.queue), select(some.c.queue)).subquery()
    oldest = (
        select(seconds_since(jobs.c.created_at))
        .where(jobs.c.queue == named.c.queue, *waits)
        .order_by(jobs.c.created_at)
        .limit(1)
        .scalar_subquery()
    )
    is_open = case((tool_gates.c.open_until > now(), 1.0), else_=0.0)
    waiting = select(literal_column("1")).where(jobs.c.delivery == Delivery.READY).limit(COUNTED_AT_MOST).subquery()
    number = Float()
    return union_all(
        select(
            literal_column("'oldest'").label("what"),
            named.c.queue.label("name"),
            func.coalesce(cast(oldest, number), 0.0).label("number"),
        ),
        select(literal_column("'breaker'"), tool_gates.c.tool, is_open).where(tool_gates.c.open_until.is_not(None)),
        select(literal_column("'results'"), literal_column("''"), cast(func.count(), number)).select_from(waiting),
    )


def _control(queue: ColumnElement[Any]) -> FromClause:
    """Return what an operator has set of the queue."""
    named = (controls.c.tenant == DEFAULT_TENANT, controls.c.kind == "queue", controls.c.name == queue)
    return select(controls.c.paused, controls.c.concurrency).where(*named).lateral("control")


def _consumed() -> CTE:
    """Return a row for each queue of each live worker."""
    names = func.jsonb_array_elements_text(processes.c.queues).table_valued(column("name", Text)).render_derived()
    return (
        select(processes.c.id.label("worker_id"), processes.c.slots, names.c.name.label("queue"))
        .select_from(processes.join(names, true()))
        .where(processes.c.kind == "worker", holds_its_lease())
        .cte("consumed")
    )


def _busy(consumed: CTE, took: CTE) -> FromClause:
    """Count the running calls of a worker, and how many of them end in a second."""
    its = took.alias("its")
    needs = func.greatest(its.c.mean_seconds, seconds_since(jobs.c.started_at), LEAST_SECONDS)  # leaves out nulls
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
            is_waiting(),
            may_be_published(),
            jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()),
        )
        .limit(COUNTED_AT_MOST)
        .correlate_except(jobs)
        .subquery()
    )
    return select(func.count()).select_from(waiting).scalar_subquery()


def _took(consumed: CTE) -> CTE:
    """Return how long the newest calls of each queue took."""
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
