"""Statements of the history API and the command line. Every statement on sessions and jobs names one tenant; the API
runs it behind row-level security (`ringback.statements.identity.tenant_isolation`).

A job comes with its steps, a session with its counts, in one statement each: as they stood at one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, FromClause, Select, Table, and_, func, literal, select, tuple_, union_all
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from ringback.history.documents import Job, ListedJob, ListedSession, ShownMoment
from ringback.history.pagination import IdRange, JobQuery, PageQuery, SessionQuery, SessionState, position
from ringback.jobs.states import JobState
from ringback.moments import MOMENTS_AT_MOST
from ringback.statements.clock import now, statement_time
from ringback.statements.json_order import in_order
from ringback.statements.processes import live_tools
from ringback.tables import items, job_events, jobs, moments, processes, sessions, worker_tools

MAX_ALIKE = 5
"""Rows found for the beginning of an id: one is the answer, several are shown for the user to choose."""
LINES_AT_MOST = 500
"""The newest messages, and calls, of a transcript: as many as a rebuilt conversation is told."""
MAX_PROCESSES = 1_000
"""Gateways and workers in one list, live ones first: a worker that crashes in a loop leaves many dead ones."""

_WORKED_OUT: dict[str, ColumnElement[Any]] = {
    "max_attempts": (jobs.c.max_attempts + jobs.c.rescues).label("max_attempts"),
    "arguments": in_order(jobs.c.arguments),
    "result": in_order(jobs.c.result),
}
"""Fields of a job that are more than the column of their name."""


def _shown(table: Table, model: type[BaseModel]) -> list[ColumnElement[Any]]:
    """Return the columns that the fields of a document name.

    No other column is read. The API reads as the role `ringback_tenant`, which a new column is not granted to.
    """
    names = [name for name in model.model_fields if name in table.c]
    return [_WORKED_OUT.get(name, table.c[name]) if table is jobs else table.c[name] for name in names]


_LISTED = _shown(jobs, ListedJob)  # What was asked and answered may be large, and is one lookup away.
_JOB = _shown(jobs, Job)
_SESSION = _shown(sessions, ListedSession)
_STEP = ("at", "state", "delivery", "attempt", "worker_id", "epoch", "error", "approval")


def page_of_jobs(tenant: str, query: JobQuery) -> Select[Any]:
    """Select jobs, newest first: one more than the page holds, which tells whether there is a next."""
    filters = [
        jobs.c.session_id == query.session if query.session else None,
        jobs.c.tool == query.tool if query.tool else None,
        jobs.c.queue == query.queue if query.queue else None,
        jobs.c.approval == query.approval if query.approval else None,
    ]
    few = query.session or query.approval
    states = query.state or (tuple(JobState) if (query.tool or query.queue) and not few else ())
    return _page(select(*_LISTED), jobs, tenant, query, filters, states)


def page_of_sessions(tenant: str, query: SessionQuery) -> Select[Any]:
    """Select sessions, newest first, each with its `counts`; one more than the page holds."""
    filters = [
        sessions.c.agent == query.agent if query.agent else None,
        sessions.c.user_id == query.user if query.user else None,
    ]
    states = query.state or (get_args(SessionState) if query.agent and not query.user else ())
    return _page(select(*_SESSION, _counts()), sessions, tenant, query, filters, states)


def jobs_with_steps(tenant: str, ids: IdRange) -> Select[Any]:
    """Select the jobs with these ids, each with its `steps`: a JSON array of its events, oldest first."""
    pairs = [part for name in _STEP for part in (name, job_events.c[name])]
    steps = (
        select(func.jsonb_agg(aggregate_order_by(func.jsonb_build_object(*pairs), job_events.c.id)))
        .where(job_events.c.job_id == jobs.c.id)
        .scalar_subquery()
    )
    return _named(select(*_JOB, steps.label("steps")), jobs, tenant, ids)


def failure_of(job_id: UUID) -> Select[Any]:
    """Select why the job's last failed attempt failed; null if none did. Operators read it, no API does."""
    return select(jobs.c.failure).where(jobs.c.id == job_id)


def messages_of(session_id: UUID) -> Select[Any]:
    """Select the messages of a session, newest first: `position`, `role`, `content`, `created_at`."""
    said = select(items.c.position, items.c.role, items.c.content, items.c.created_at)
    return said.where(items.c.session_id == session_id).order_by(items.c.position.desc()).limit(LINES_AT_MOST)


def calls_of(session_id: UUID) -> Select[Any]:
    """Select the calls of a session with their results, newest first; a rerun was part of no conversation."""
    return (
        select(
            *(
                jobs.c.id,
                jobs.c.position,
                jobs.c.answer_position,
                jobs.c.tool,
                in_order(jobs.c.arguments),
                jobs.c.state,
            ),
            *(in_order(jobs.c.result), jobs.c.error, jobs.c.cancel_reason, jobs.c.created_at, jobs.c.finished_at),
        )
        .where(jobs.c.session_id == session_id, jobs.c.rerun_of.is_(None))
        .order_by(jobs.c.position.desc().nulls_first(), jobs.c.created_at.desc())
        .limit(LINES_AT_MOST)
    )


def sessions_with_counts(tenant: str, ids: IdRange) -> Select[Any]:
    """Select the sessions with these ids, each with its `counts`: a JSON object, job state → number of jobs."""
    return _named(select(*_SESSION, _counts()), sessions, tenant, ids)


def moments_of(tenant: str, session_id: UUID) -> Select[Any]:
    """Select the moments of a session, oldest first, as far as they are kept."""
    shown = _shown(moments, ShownMoment)
    found = select(*shown).where(moments.c.tenant == tenant, moments.c.session_id == session_id)
    return found.order_by(moments.c.at, moments.c.epoch, moments.c.number).limit(MOMENTS_AT_MOST)


def served_tools() -> Select[Any]:
    """Select each tool that live workers serve, with the number of such `workers`.

    Tools belong to no tenant: agents allow them, and an agent's file names its tenants.
    """
    workers = func.count().over(partition_by=worker_tools.c.name).label("workers")
    tools: Select[Any] = live_tools.build()
    return tools.add_columns(workers)


def all_processes(tenant: str) -> Select[Any]:
    """Select gateways and workers, live ones first, each with `alive`, its number of `running` jobs of all tenants, and
    the `tools` that it serves.

    Each process names the operator's tenant: other tenants see none. A gateway's key is for no reader.
    """
    readable = (each for each in processes.c if each is not processes.c.doorbell_key)
    alive = and_(processes.c.ended_at.is_(None), processes.c.lease_until > now()).label("alive")
    running = (
        select(func.count())
        .where(jobs.c.worker_id == processes.c.id, jobs.c.state == JobState.RUNNING)
        .scalar_subquery()
        .label("running")
    )
    shown = [part for name in ("name", "version", "queue") for part in (name, worker_tools.c[name])]
    tools = select(
        func.coalesce(
            func.jsonb_agg(aggregate_order_by(func.jsonb_build_object(*shown), worker_tools.c.name)),
            literal([], JSONB),
        )
    ).where(worker_tools.c.worker_id == processes.c.id)
    return (
        select(*readable, alive, running, tools.scalar_subquery().label("tools"))
        .where(processes.c.tenant == tenant)
        .order_by(alive.desc(), processes.c.started_at.desc(), processes.c.id)
        .limit(MAX_PROCESSES)
    )


def _page(
    rows: Select[Any],
    table: FromClause,
    tenant: str,
    query: PageQuery,
    filters: list[ColumnElement[bool] | None],
    states: Sequence[str],
) -> Select[Any]:
    """Select a page of these rows in these states; no states: in any.

    Each state is searched by itself, in the order of an index that holds it, and gives a page at most. So a page of
    rare rows costs no more than one of frequent rows.
    """
    wanted = [table.c.tenant == tenant, *(each for each in filters if each is not None)]
    if query.since is not None:
        wanted.append(table.c.created_at >= moment(query.since))
    if query.until is not None:
        wanted.append(table.c.created_at < moment(query.until))
    if query.after is not None:
        wanted.append(tuple_(table.c.created_at, table.c.id) < tuple(position(query.after)))
    newest = (table.c.created_at.desc(), table.c.id.desc())
    if states:
        each = [select(table.c.id).where(*wanted, table.c.state == state) for state in states]
        pages = [page.order_by(*newest).limit(query.limit + 1).subquery() for page in each]
        found = union_all(*(select(page.c.id) for page in pages)).cte("found").prefix_with("MATERIALIZED")
        wanted = [table.c.tenant == tenant, table.c.id.in_(select(found.c.id))]
    return rows.where(*wanted).order_by(*newest).limit(query.limit + 1)


def moment(since: datetime | timedelta) -> Any:
    """Return the time that a query names, also as how long ago."""
    # The statement's time and not `now()`: Postgres does not use an index for a value that may change in a statement.
    return since if isinstance(since, datetime) else statement_time() - since


def _named(rows: Select[Any], table: FromClause, tenant: str, ids: IdRange) -> Select[Any]:
    named = table.c.id.between(ids.first, ids.last)
    return rows.where(table.c.tenant == tenant, named).order_by(table.c.id).limit(MAX_ALIKE)


def _counts() -> ColumnElement[Any]:
    each = (
        select(jobs.c.state, func.count().label("number"))
        .where(jobs.c.session_id == sessions.c.id)
        .group_by(jobs.c.state)
        .correlate(sessions)
        .subquery()
    )
    found = select(func.jsonb_object_agg(each.c.state, each.c.number)).scalar_subquery()
    return func.coalesce(found, literal({}, JSONB)).label("counts")
