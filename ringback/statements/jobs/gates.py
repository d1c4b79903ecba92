"""Limits of a tool over all workers: its gate row, locked; its running calls; its line of postponed calls. And of a
queue or a tool that an operator has paused or limited: the calls that are held, or wait for a place.

`ringback.tools.gate` decides. The lock comes first, and a statement of its own counts the running calls: a statement
that had waited for the lock would count what was there when it began to wait. A gate belongs to the operator's tool and
counts the calls of all tenants.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Update,
    and_,
    case,
    cast,
    extract,
    func,
    null,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.jobs.states import JobState
from ringback.postgres.statement import Bound, statement
from ringback.record_fields import by_name
from ringback.statements.clock import now, seconds, seconds_until
from ringback.statements.jobs.admission import PUBLISH_GRACE_SECONDS
from ringback.statements.jobs.controls import is_controlled
from ringback.statements.jobs.transitions import may_be_published
from ringback.statements.row_state import is_now, is_waiting
from ringback.tables import DEFAULT_TENANT, jobs, tool_gates
from ringback.tools.gate import Gate, Load


@statement
def wanted_tool(job_id: UUID) -> Select[Any]:
    """Return which tool a call wants: `tool`, `queue`, `timeout`, `max_attempts`, `seconds_left`.

    `is_due` is true if it may begin now, `is_controlled` if an operator has paused or limited its queue or its tool.
    """
    left = cast(seconds_until(jobs.c.deadline_at), Float).label("seconds_left")
    asked = jobs.c.tool, jobs.c.queue, jobs.c.timeout, jobs.c.max_attempts
    controlled, due = is_controlled().label("is_controlled"), is_due().label("is_due")
    return select(*asked, left, controlled, due).where(jobs.c.id == job_id)


@statement
def lock(tool: str, burst: int) -> ReturningInsert[Any]:
    """Lock the tool's gate until the transaction ends. Returns it and `now`, as `gate_in` takes them.

    If the tool has no gate, it is inserted with `burst` tokens.
    """
    new = insert(tool_gates).values(
        tenant=DEFAULT_TENANT, tool=tool, tokens=type_coerce(burst, Float), refilled_at=now()
    )
    return new.on_conflict_do_update(
        index_elements=["tenant", "tool"],
        set_={"tool": new.excluded.tool},  # locks the row and returns its present values
    ).returning(
        tool_gates.c.tokens,
        _moment(tool_gates.c.refilled_at).label("refilled_at"),
        tool_gates.c.failures,
        _moment(tool_gates.c.open_until).label("open_until"),
        _moment(tool_gates.c.probe_until).label("probe_until"),
        _moment(now()).label("now"),
    )


def gate_in(row: Any) -> Gate:
    """Convert a row of `lock` to a gate."""
    return Gate(row.tokens, row.refilled_at, row.failures, row.open_until, row.probe_until)


@statement
def load_around(job_id: UUID, tool: str) -> Select[Any]:
    """Count the tool's running calls and the calls in line before this one, as `load_in` takes them."""
    this = jobs.alias("this")
    running = select(func.count()).where(jobs.c.tool == tool, jobs.c.state == JobState.RUNNING)
    ahead = (
        select(func.count())
        .select_from(jobs)
        .join(this, and_(this.c.id == job_id, this.c.queue == jobs.c.queue))
        .where(
            *_in_line(tool),
            jobs.c.deadline_at > now(),
            tuple_(jobs.c.created_at, jobs.c.id) < tuple_(this.c.created_at, this.c.id),
        )
    )
    late = select(case((this.c.put_off, -seconds_until(this.c.not_before)), else_=0.0)).where(this.c.id == job_id)
    return select(
        running.scalar_subquery().label("running"),
        ahead.scalar_subquery().label("ahead"),
        func.coalesce(cast(late.scalar_subquery(), Float), 0.0).label("late"),
    )


def load_in(row: Any) -> Load:
    """Convert a row of `load_around` to a load."""
    return Load(row.running, row.ahead, row.late)


def save(tool: str, gate: Gate) -> Bound:
    """Write the gate. The caller holds its lock."""
    return _save(tool, **by_name(gate))


@statement
def _save(
    tool: str,
    tokens: float,
    refilled_at: float,
    failures: int,
    open_until: float | None,
    probe_until: float | None,
) -> Update:
    return (
        update(tool_gates)
        .where(tool_gates.c.tenant == DEFAULT_TENANT, tool_gates.c.tool == tool)
        .values(
            tokens=tokens,
            refilled_at=_timestamp(refilled_at),
            failures=failures,
            open_until=_timestamp(open_until),
            probe_until=_timestamp(probe_until),
        )
    )


@statement
def reset_failures(tool: str) -> Update:
    """Reset the failures after a successful call that is no probe, as `gate.after` says. Takes no lock in the usual
    case.
    """
    mine = (tool_gates.c.tenant == DEFAULT_TENANT) & (tool_gates.c.tool == tool)
    return (
        update(tool_gates).where(mine, tool_gates.c.failures > 0, tool_gates.c.open_until.is_(None)).values(failures=0)
    )


@statement
def postpone(job_id: UUID, pause: float) -> Update:
    """Put a call in line for `pause` seconds. This costs no attempt and moves no deadline.

    The worker that postpones the call publishes it in time. If that worker is gone, a sweeper does so a little later.
    """
    return (
        update(jobs)
        .where(jobs.c.id == job_id, is_due())
        .values(
            put_off=True,
            not_before=now() + seconds(pause),
            publish_after=now() + seconds(pause + PUBLISH_GRACE_SECONDS),
            publish_count=0,
        )
    )


@statement
def hold(job_id: UUID) -> Update:
    """Hold a call of a paused queue or tool: no worker gets it before that goes on. It moves no deadline.

    The caller has the lock of the control (`controls.lock`), so that the call is held before that goes on, or not.
    """
    return (
        update(jobs)
        .where(jobs.c.id == job_id, is_due())
        .values(put_off=True, not_before=jobs.c.deadline_at, publish_after=null(), publish_count=0)
    )


@statement
def running_in(queue: str) -> Select[Any]:
    """Count the running calls of a queue: `running`. The caller has the lock of the queue's control."""
    return select(func.count().label("running")).where(jobs.c.queue == queue, jobs.c.state == JobState.RUNNING)


@statement
def wake_first_in(queue: str) -> ReturningUpdate[Any]:
    """Wake the oldest postponed call of a queue that has a limit. Publish what it returns (`id`, `queue`)."""
    postponed = (jobs.c.queue == queue, is_waiting(), jobs.c.put_off)
    return _woken(select(jobs.c.id).where(*postponed, *_sleeps()).order_by(jobs.c.created_at))


@statement
def wake_first(tool: str) -> ReturningUpdate[Any]:
    """Wake the first sleeping call in line. Publish what it returns (`id`, `queue`)."""
    return _woken(select(jobs.c.id).where(*_in_line(tool), *_sleeps()).order_by(jobs.c.created_at, jobs.c.id))


def _sleeps() -> tuple[ColumnElement[bool], ...]:
    # A call that is held by a pause has no message to come, and is left alone.
    return jobs.c.not_before > now(), jobs.c.publish_after.is_not(None), may_be_published()


def _woken(asleep_in_order: Select[Any]) -> ReturningUpdate[Any]:
    asleep = asleep_in_order.limit(1).with_for_update(skip_locked=True).cte("asleep")
    return (
        update(jobs)
        .where(jobs.c.id == asleep.c.id)
        .values(not_before=now(), publish_after=now() + seconds(PUBLISH_GRACE_SECONDS))
        .returning(jobs.c.id, jobs.c.queue)
    )


def is_due() -> ColumnElement[bool]:
    """Return true for a pending call that may begin now."""
    due = jobs.c.not_before.is_(None) | (jobs.c.not_before <= now())
    return and_(is_now(jobs.c.state, JobState.PENDING), due, may_be_published())


def _in_line(tool: str) -> tuple[ColumnElement[bool], ...]:
    # A running call is no longer postponed. This does not test `state`, which other indexes hold too: see `row_state`.
    return jobs.c.put_off, jobs.c.finished_at.is_(None), jobs.c.tool == tool


def _moment(time: ColumnElement[Any]) -> ColumnElement[float]:
    return cast(extract("epoch", time), Float)


def _timestamp(moment: float | None) -> ColumnElement[Any]:
    return func.to_timestamp(type_coerce(moment, Float))
