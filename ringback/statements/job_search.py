"""Statements of the console's search for jobs: a page, its edge, counts over time, and examples for suggestions.

A filter on state, tool, queue, session, approval or time is answered from an index. A filter on agent, user or
arguments has none: such a search reads the newest `WINDOW` jobs that fit the other filters, and no more, so that it
costs the same among a million jobs. `edge` tells where it stopped reading, and the next page goes on from there
(docs/decisions/0068).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Uuid,
    and_,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from ringback.history.job_search import JobSearch
from ringback.history.pagination import position
from ringback.jobs.states import JobState
from ringback.statements.history import moment
from ringback.statements.json_order import in_order
from ringback.tables import jobs, sessions

WINDOW = 20_000
"""Jobs that one page of a search without an index reads, in the order in which they were written: 50 ms."""
WINDOW_OF_INDEX = 4_000
"""The same if the other filters have an index: the jobs of one tool lie far apart, and each read is of another page."""
COUNTED = 5_000
"""Jobs of each state that a chart counts, newest first."""
LOOKED_AT = 3_000
"""Jobs of all states that a chart counts if each has to be looked at, newest first."""
EXAMPLES = 300
"""Jobs whose values are suggested."""
FEW_STATES = 3
"""States that are each searched in an index of theirs; jobs of more states than these are most of all jobs."""
OF_SESSIONS = 500
"""A user with at most so many sessions is searched by them, and all of their jobs are found."""

_LISTED = [
    *(jobs.c[name] for name in ("id", "session_id", "tool", "queue", "state", "delivery", "attempt", "approval")),
    *(jobs.c[name] for name in ("error", "cancel_reason", "created_at", "started_at", "finished_at")),
    *(jobs.c[name] for name in ("rerun_of", "summary")),
    (jobs.c.max_attempts + jobs.c.rescues).label("max_attempts"),
    sessions.c.agent,
    sessions.c.user_id,
    func.left(cast(jobs.c.arguments, jobs.c.tool.type), 200).label("brief"),
]


def page(tenant: str, search: JobSearch) -> Select[Any]:
    """Select jobs that fit, newest first, with `agent` and `user_id`: one more than the page holds."""
    newest = (jobs.c.created_at.desc(), jobs.c.id.desc())
    size = window_of(search) if search.is_residual else search.limit + 1
    ids = _window(tenant, search, size, None).subquery()
    found = select(ids.c.id).where(*_residual(search, ids))
    if whose := _of_session(search):  # else no join, which Postgres might make of all sessions
        found = found.join(sessions, sessions.c.id == ids.c.session_id).where(*whose)
    chosen = (
        found.order_by(ids.c.created_at.desc(), ids.c.id.desc())
        .limit(search.limit + 1)
        .cte("chosen")
        .prefix_with("MATERIALIZED")
    )
    rows = select(*_LISTED).join(sessions, sessions.c.id == jobs.c.session_id)
    return rows.where(jobs.c.tenant == tenant, jobs.c.id.in_(select(chosen.c.id))).order_by(*newest)


def window_of(search: JobSearch) -> int:
    """Return how many jobs one page of a search reads whose filters have no index for all."""
    return WINDOW_OF_INDEX if _states_of(search) or search.within is not None else WINDOW


def contents(tenant: str, ids: Sequence[UUID]) -> Select[Any]:
    """Select what these jobs were asked and answered: `id`, `arguments`, `result`, `error`."""
    whole = (jobs.c.id, in_order(jobs.c.arguments), in_order(jobs.c.result), jobs.c.error)
    return select(*whole).where(jobs.c.tenant == tenant, jobs.c.id.in_(ids))


def edge(tenant: str, search: JobSearch) -> Select[Any]:
    """Select `created_at` and `id` of the last job that `page` read, if it did not read all; else no row."""
    ids = _window(tenant, search, window_of(search), None).subquery()
    last = select(ids.c.created_at, ids.c.id).order_by(ids.c.created_at.desc(), ids.c.id.desc())
    return last.offset(window_of(search) - 1).limit(1)


def counts(tenant: str, search: JobSearch, seconds: float) -> Select[Any]:
    """Count the newest jobs (`most_counted`): `state`, `slot`, and of each slot the `number` of jobs that fit,

    how many were `read`, and when the `oldest` of these was asked.

    Args:
        seconds: length of a slot; `slot` is the number of slots since 1970.
    """
    if search.within is not None:
        return _by_slot(_of_sessions(tenant, search), search, seconds, None)
    if search.is_residual:
        return _by_slot(_window(tenant, search, LOOKED_AT, None), search, seconds, None)
    states = search.state or tuple(JobState)
    windows = [(_window(tenant, search, COUNTED, state), state) for state in states]
    return select(union_all(*(_by_slot(window, search, seconds, state) for window, state in windows)).subquery())


def most_counted(search: JobSearch) -> tuple[int | None, bool]:
    """Return how many jobs `counts` reads at most, or None for all that there are; and whether that is of each state.

    A chart is whole from the oldest of them on.
    """
    if search.within is not None:
        return None, False
    return (LOOKED_AT, False) if search.is_residual else (COUNTED, True)


def _by_slot(window: Select[Any], search: JobSearch, seconds: float, state: JobState | None) -> Select[Any]:
    """Count the jobs of a window; `state` None: of each state by itself."""
    ids = window.subquery()
    slot = cast(func.floor(func.extract("epoch", ids.c.created_at) / seconds), BigInteger).label("slot")
    of = ids.c.state if state is None else literal(state.value).label("state")
    fits = _residual(search, ids)
    if whose := _of_session(search):  # by its id, job by job: a join would read all sessions
        fits.append(select(and_(*whose)).where(sessions.c.id == ids.c.session_id).scalar_subquery())
    numbers = (func.count().filter(and_(true(), *fits)).label("number"), func.count().label("read"))
    found = select(of, slot, *numbers, func.min(ids.c.created_at).label("oldest")).select_from(ids)
    return found.group_by(slot) if state else found.group_by(ids.c.state, slot)


def _of_sessions(tenant: str, search: JobSearch) -> Select[Any]:
    """Select all jobs of a few sessions: of them, and not of an index that has the jobs of all others too."""
    wanted = _indexed(tenant, search.model_copy(update={"within": None}))
    wanted += [jobs.c.state.in_(search.state)] if search.state else []
    theirs = jobs.c.session_id == any_(literal(list(search.within or ()), ARRAY(Uuid)))
    columns = (jobs.c.id, jobs.c.created_at, jobs.c.state, jobs.c.session_id, jobs.c.arguments)
    return select(*columns).where(theirs, *wanted)


def sessions_that_fit(tenant: str, search: JobSearch) -> Select[Any]:
    """Select the sessions of the searched user and agent, if they are few: `OF_SESSIONS` and one more."""
    wanted = [sessions.c.tenant == tenant]
    wanted += [sessions.c.user_id == search.user] if search.user is not None else []
    wanted += [sessions.c.agent == search.agent] if search.agent is not None else []
    return select(sessions.c.id).where(*wanted).limit(OF_SESSIONS + 1)


def examples(tenant: str) -> Select[Any]:
    """Select what the newest jobs are: `tool`, `queue`, `agent`, `user_id`, `arguments`."""
    newest = (
        select(jobs.c.tool, jobs.c.queue, jobs.c.session_id, jobs.c.arguments)
        .where(jobs.c.tenant == tenant)
        .order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
        .limit(EXAMPLES)
        .subquery()
    )
    shown = (newest.c.tool, newest.c.queue, newest.c.arguments, sessions.c.agent, sessions.c.user_id)
    return select(*shown).join(sessions, sessions.c.id == newest.c.session_id)


def _window(tenant: str, search: JobSearch, size: int, only: JobState | None) -> Select[Any]:
    """Select the newest jobs by the filters that have an index: each state is searched by itself, in its order."""
    states = (only,) if only else _states_of(search)
    columns = [jobs.c.id, jobs.c.created_at, *([] if only else [jobs.c.state])]
    columns += [jobs.c.session_id, jobs.c.arguments] if search.is_residual or only is None else []
    newest = (jobs.c.created_at.desc(), jobs.c.id.desc())
    rows = select(*columns).where(*_indexed(tenant, search))
    if not states:
        return rows.order_by(*newest).limit(size)
    pages = [rows.where(jobs.c.state == state).order_by(*newest).limit(size).subquery() for state in states]
    if len(pages) == 1:
        return select(pages[0])
    both = union_all(*(select(page) for page in pages)).subquery()
    return select(both).order_by(both.c.created_at.desc(), both.c.id.desc()).limit(size)


def _states_of(search: JobSearch) -> tuple[JobState, ...]:
    """Return the states that are each searched in an index; empty: the jobs are found in another order."""
    states = () if _is_of_most_states(search) else search.state
    is_narrow = search.session or search.approval or search.within is not None or search.id
    if not states and (search.tool or search.queue) and not is_narrow:
        return tuple(JobState)
    return states


def _is_of_most_states(search: JobSearch) -> bool:
    """Return True if jobs in these states are found sooner among all jobs, of which each is looked at anyway."""
    return search.is_residual and len(search.state) > FEW_STATES and not (search.tool or search.queue)


def _indexed(tenant: str, search: JobSearch) -> list[ColumnElement[bool]]:
    equal: dict[Any, Any] = {jobs.c.id: search.id, jobs.c.session_id: search.session, jobs.c.approval: search.approval}
    equal |= {jobs.c.tool: search.tool, jobs.c.queue: search.queue}
    wanted = [jobs.c.tenant == tenant, *(column == value for column, value in equal.items() if value is not None)]
    if search.within is not None:
        wanted.append(jobs.c.session_id.in_(search.within))
    if search.since is not None:
        wanted.append(jobs.c.created_at >= moment(search.since))
    if search.until is not None:
        wanted.append(jobs.c.created_at < moment(search.until))
    if search.after is not None:
        wanted.append(tuple_(jobs.c.created_at, jobs.c.id) < tuple(position(search.after)))
    return wanted


def _residual(search: JobSearch, ids: FromClause) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    wanted += [ids.c.state.in_(search.state)] if _is_of_most_states(search) else []
    for argument in search.args:
        one_of = [ids.c.arguments.contains(literal(document, JSONB)) for document in argument.documents]
        wanted.append(or_(*one_of))
    return wanted


def _of_session(search: JobSearch) -> list[ColumnElement[bool]]:
    """Return what the job's session must be; nothing if the jobs are of sessions that fit."""
    if search.within is not None:
        return []
    wanted: list[ColumnElement[bool]] = []
    wanted += [sessions.c.agent == search.agent] if search.agent is not None else []
    wanted += [sessions.c.user_id == search.user] if search.user is not None else []
    return wanted
