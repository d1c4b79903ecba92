"""Live figures of queues and tools: what waits and runs now, and how the calls of a window went.

The window is read by the index on (tenant, created_at, id), and at most `COUNTED_AT_MOST` of its newest calls: so the
figures cost the same however many calls there are. The tenant `default`, the operator's, sees the calls of all tenants.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    FromClause,
    Interval,
    Select,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
    type_coerce,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from ringback.jobs.states import JobState
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds_since, statement_time
from ringback.statements.jobs.controls import holds
from ringback.statements.jobs.queues import COUNTED_AT_MOST as WAITING_AT_MOST
from ringback.statements.processes import holds_its_lease, live_tools
from ringback.statements.row_state import is_waiting
from ringback.tables import DEFAULT_TENANT, controls, jobs, processes, sessions, tool_gates, worker_tools

COUNTED_AT_MOST = 5_000
"""Newest calls of a window that are counted: some 15 ms, and fifty of them are the slowest hundredth."""
FAILED = (JobState.FAILED, JobState.TIMED_OUT, JobState.DEAD, JobState.UNKNOWN)
"""Ends that count as errors; a cancelled call is none."""
SHARES = (0.5, 0.95, 0.99)
_COUNTED = ("calls", "ended", "failed", "wait", "run")


@statement
def live_queues(window: timedelta) -> Select[Any]:
    """Select each queue that a live worker consumes, an operator controls, or a call of the window was made for.

    Returns `name`, `paused`, `concurrency`, `workers`, `slots`, `tools`, `pending`, `held`, `oldest_seconds`, `running`
    and the figures of the window: `calls`, `ended`, `failed`, and of `wait` and `run` an array of seconds by `SHARES`.
    """
    consumed, served, went = _consumed(), _served_on(), _went("queue", None, window)
    held = select(controls.c.name).where(controls.c.kind == "queue", holds())
    queues = union(select(consumed.c.name), held, select(went.c.name).where(went.c.name != "")).cte("queues")
    control, waiting = _control("queue", queues.c.name), _waiting(queues.c.name)
    running = select(func.count()).where(jobs.c.queue == queues.c.name, jobs.c.state == JobState.RUNNING)
    return (
        select(
            *(queues.c.name, control.c.paused, control.c.concurrency),
            *(consumed.c.workers, func.coalesce(consumed.c.slots, 0).label("slots"), served.c.tools),
            *(waiting.c.pending, waiting.c.held, waiting.c.oldest_seconds),
            running.correlate(queues).scalar_subquery().label("running"),
            *(went.c[name] for name in _COUNTED),
        )
        .select_from(
            queues.outerjoin(consumed, consumed.c.name == queues.c.name)
            .outerjoin(served, served.c.queue == queues.c.name)
            .outerjoin(went, went.c.name == queues.c.name)
            .outerjoin(control, true())
            .join(waiting, true())
        )
        .order_by(queues.c.name)
    )


def live_tools_of(tenant: str, window: timedelta) -> Bound:
    """Select each tool that live workers serve, as `history.served_tools`, with its state and the same figures.

    Beside them: `versions` (version → workers), `running`, `failures` and `breaker_open_until`.
    """
    return _live_tools_of_all(window) if tenant == DEFAULT_TENANT else _live_tools_of_one(tenant, window)


@statement
def _live_tools_of_all(window: timedelta) -> Select[Any]:
    return _live_tools(None, window)


@statement
def _live_tools_of_one(tenant: str, window: timedelta) -> Select[Any]:
    return _live_tools(tenant, window)


def _live_tools(whose: str | None, window: timedelta) -> Select[Any]:
    declared: Select[Any] = live_tools.build()
    served = declared.add_columns(func.count().over(partition_by=worker_tools.c.name).label("workers")).cte("served")
    went, control, versions = _went("tool", whose, window), _control("tool", served.c.name), _versions()
    running = select(func.count()).where(jobs.c.tool == served.c.name, jobs.c.state == JobState.RUNNING)
    if whose is not None:
        running = running.where(jobs.c.tenant == whose)
    gate = and_(tool_gates.c.tenant == DEFAULT_TENANT, tool_gates.c.tool == served.c.name)
    return (
        select(
            served,
            *(control.c.paused, control.c.concurrency, versions.c.versions),
            running.correlate(served).scalar_subquery().label("running"),
            func.coalesce(tool_gates.c.failures, 0).label("failures"),
            case((tool_gates.c.open_until > now(), tool_gates.c.open_until)).label("breaker_open_until"),
            *(went.c[name] for name in _COUNTED),
        )
        .select_from(
            served.join(versions, versions.c.name == served.c.name)
            .outerjoin(went, went.c.name == served.c.name)
            .outerjoin(control, true())
            .outerjoin(tool_gates, gate)
        )
        .order_by(served.c.name)
    )


def _consumed() -> CTE:
    """Return a row for each queue of the live workers: `name`, `workers`, `slots`."""
    names = func.jsonb_array_elements_text(processes.c.queues).table_valued(column("name", Text)).render_derived()
    workers = func.array_agg(aggregate_order_by(processes.c.id, processes.c.id))
    return (
        select(names.c.name, workers.label("workers"), func.sum(processes.c.slots).label("slots"))
        .select_from(processes.join(names, true()))
        .where(processes.c.kind == "worker", holds_its_lease())
        .group_by(names.c.name)
        .cte("consumed")
    )


def _served_on() -> CTE:
    """Return the tools that live workers serve on each queue: `queue`, `tools`."""
    tools = (
        select(worker_tools.c.queue, worker_tools.c.name)
        .join(processes, processes.c.id == worker_tools.c.worker_id)
        .where(holds_its_lease())
        .distinct()
        .subquery("tools")
    )
    names = func.array_agg(aggregate_order_by(tools.c.name, tools.c.name))
    return select(tools.c.queue, names.label("tools")).group_by(tools.c.queue).cte("served_on")


def _versions() -> CTE:
    """Return how many live workers serve each version of a tool: `name`, and `versions` as a JSON object."""
    each = (
        select(worker_tools.c.name, worker_tools.c.version, func.count().label("number"))
        .join(processes, processes.c.id == worker_tools.c.worker_id)
        .where(holds_its_lease())
        .group_by(worker_tools.c.name, worker_tools.c.version)
        .subquery("each_version")
    )
    versions = func.jsonb_object_agg(each.c.version, each.c.number).label("versions")
    return select(each.c.name, versions).group_by(each.c.name).cte("versions")


def _control(kind: str, name: ColumnElement[Any]) -> FromClause:
    named = (controls.c.tenant == DEFAULT_TENANT, controls.c.kind == kind, controls.c.name == name)
    return select(controls.c.paused, controls.c.concurrency).where(*named).lateral("control")


def _waiting(queue: ColumnElement[Any]) -> FromClause:
    """Count the waiting calls of a queue, from the oldest on: `pending`, `held`, `oldest_seconds`."""
    oldest = (
        select(jobs.c.created_at, jobs.c.put_off)
        .where(jobs.c.queue == queue, is_waiting(), jobs.c.joined_to.is_(None))
        .order_by(jobs.c.created_at)
        .limit(WAITING_AT_MOST)
        .correlate_except(jobs)
        .lateral("oldest")
    )
    return (
        select(
            func.count().label("pending"),
            func.count().filter(oldest.c.put_off).label("held"),
            cast(seconds_since(func.min(oldest.c.created_at)), Float).label("oldest_seconds"),
        )
        .select_from(oldest)
        .lateral("waiting")
    )


def _went(by: str, tenant: str | None, window: timedelta) -> CTE:
    """Return how the calls of the window went, by queue or by tool: `name`, and `_COUNTED`."""
    calls = _recent(tenant, window)
    began, ended = calls.c.started_at.is_not(None), calls.c.finished_at.is_not(None)
    wait = func.extract("epoch", calls.c.started_at - calls.c.created_at)
    run = func.extract("epoch", calls.c.finished_at - calls.c.started_at)
    return (
        select(
            calls.c[by].label("name"),
            func.count().label("calls"),
            func.count().filter(ended).label("ended"),
            func.count().filter(calls.c.state.in_(FAILED)).label("failed"),
            _shares(wait).filter(began, calls.c.attempt == 1).label("wait"),
            _shares(run).filter(began, ended).label("run"),
        )
        .group_by(calls.c[by])
        .cte("went")
    )


def _shares(seconds: ColumnElement[Any]) -> Any:
    shares = literal_column(f"ARRAY[{', '.join(map(str, SHARES))}]::float8[]", ARRAY(Float))
    return func.percentile_cont(shares, type_=ARRAY(Float)).within_group(cast(seconds, Float))


def _recent(tenant: str | None, window: timedelta) -> CTE:
    """Return the newest calls of the window: of one tenant, or of each that there is."""
    wanted = ("queue", "tool", "state", "attempt", "created_at", "started_at", "finished_at")
    columns = [jobs.c[name] for name in wanted]
    since = jobs.c.created_at >= statement_time() - type_coerce(window, Interval)
    newest = (jobs.c.created_at.desc(), jobs.c.id.desc())
    if tenant is not None:
        calls = select(*columns).where(jobs.c.tenant == tenant, since).order_by(*newest).limit(COUNTED_AT_MOST)
        return calls.cte("recent")
    owners = _owners()
    theirs = select(*columns).where(jobs.c.tenant == owners.c.tenant, since).order_by(*newest).limit(COUNTED_AT_MOST)
    each = theirs.lateral("theirs")
    all_of_them = select(each).select_from(owners.join(each, true())).order_by(each.c.created_at.desc())
    return all_of_them.limit(COUNTED_AT_MOST).cte("recent")


def _owners() -> CTE:
    """Return each tenant that has a call: one index look-up for each, for any number of calls."""
    of_the_index = (jobs.c.tenant, jobs.c.created_at, jobs.c.id)
    first = select(jobs.c.tenant).order_by(*of_the_index).limit(1).subquery()
    owner = select(first.c.tenant).cte("owner", recursive=True)
    following = (
        select(jobs.c.tenant)
        .where(jobs.c.tenant > owner.c.tenant)
        .order_by(*of_the_index)
        .limit(1)
        .lateral("following")
    )
    return owner.union_all(select(following.c.tenant).select_from(owner.join(following, true())))


@statement
def live_sessions() -> Select[Any]:
    """Count the sessions that are not over, of all tenants: `state`, `number`."""
    is_live = sessions.c.state != "ended"
    return select(sessions.c.state, func.count().label("number")).where(is_live).group_by(sessions.c.state)
