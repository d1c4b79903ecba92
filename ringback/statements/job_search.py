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
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
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
"""Jobs that one page of a search without an index reads: 50 ms."""
COUNTED = 5_000
"""Jobs of each state that a chart counts, newest first."""
EXAMPLES = 300
"""Jobs whose values are suggested."""
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
    size = WINDOW if search.is_residual else search.limit + 1
    ids = _window(tenant, search, size, None).subquery()
    found = select(ids.c.id).select_from(ids.join(sessions, sessions.c.id == ids.c.session_id))
    chosen = (
        found.where(*_residual(search, ids))
        .order_by(ids.c.created_at.desc(), ids.c.id.desc())
        .limit(search.limit + 1)
        .cte("chosen")
        .prefix_with("MATERIALIZED")
    )
    rows = select(*_LISTED).join(sessions, sessions.c.id == jobs.c.session_id)
    return rows.where(jobs.c.tenant == tenant, jobs.c.id.in_(select(chosen.c.id))).order_by(*newest)


def contents(tenant: str, ids: Sequence[UUID]) -> Select[Any]:
    """Select what these jobs were asked and answered: `id`, `arguments`, `result`, `error`."""
    whole = (jobs.c.id, in_order(jobs.c.arguments), in_order(jobs.c.result), jobs.c.error)
    return select(*whole).where(jobs.c.tenant == tenant, jobs.c.id.in_(ids))


def edge(tenant: str, search: JobSearch) -> Select[Any]:
    """Select `created_at` and `id` of the last job that `page` read, if it did not read all; else no row."""
    ids = _window(tenant, search, WINDOW, None).subquery()
    last = select(ids.c.created_at, ids.c.id).order_by(ids.c.created_at.desc(), ids.c.id.desc())
    return last.offset(WINDOW - 1).limit(1)


def counts(tenant: str, search: JobSearch, seconds: float) -> Select[Any]:
    """Count the newest jobs of each state (`counted`): `state`, `slot`, and of each slot the `number` of jobs that fit,

    how many were `read`, and when the `oldest` of these was asked.

    Args:
        seconds: length of a slot; `slot` is the number of slots since 1970.
    """
    each = []
    for state in search.state or tuple(JobState):
        ids = _window(tenant, search, counted(search), state).subquery(f"of_{state}")
        slot = cast(func.floor(func.extract("epoch", ids.c.created_at) / seconds), BigInteger).label("slot")
        fits = and_(true(), *_residual(search, ids))
        numbers = (func.count().filter(fits).label("number"), func.count().label("read"))
        oldest = func.min(ids.c.created_at).label("oldest")
        found = select(literal(state.value).label("state"), slot, *numbers, oldest).select_from(ids)
        if search.is_residual:
            found = found.join(sessions, sessions.c.id == ids.c.session_id)
        each.append(found.group_by(slot))
    return select(union_all(*each).subquery())


def counted(search: JobSearch) -> int:
    """Return how many jobs of each state `counts` reads: fewer if each has to be looked at."""
    return COUNTED // 5 if search.is_residual else COUNTED


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
    states = (only,) if only else search.state
    is_narrow = search.session or search.approval or search.within is not None or search.id
    if not states and (search.tool or search.queue) and not is_narrow:
        states = tuple(JobState)
    columns = [jobs.c.id, jobs.c.created_at]
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
    if search.agent is not None:
        wanted.append(sessions.c.agent == search.agent)
    if search.user is not None:
        wanted.append(sessions.c.user_id == search.user)
    for argument in search.args:
        one_of = [ids.c.arguments.contains(literal(document, JSONB)) for document in argument.documents]
        wanted.append(or_(*one_of))
    return wanted
