"""Statements of the console's search for jobs: a page, its edge, counts over time, and examples for suggestions.

A filter on state, tool, queue, session, approval or time is answered from an index. A filter on agent, user or
arguments has none: such a search reads the newest `WINDOW` jobs that fit the other filters, and no more, so that it
costs the same among a million jobs. `edge` tells where it stopped reading, and the next page goes on from there
(docs/decisions/0068).

To build such a statement takes longer than to run it. So each is built once for each `Shape` of a search
(docs/decisions/0087). Postgres plans each anew, as it must know the values: a tool may have all calls, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Float,
    FromClause,
    Interval,
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
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from ringback.history.job_search import JobSearch
from ringback.history.pagination import position
from ringback.jobs.states import JobState
from ringback.postgres.statement import Bound, Statement
from ringback.statements.clock import statement_time
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

_NEWEST = (jobs.c.created_at.desc(), jobs.c.id.desc())
_SHOWN = tuple(
    jobs.c[name]
    for name in (
        *("id", "session_id", "tool", "queue", "state", "delivery", "attempt", "approval", "error", "cancel_reason"),
        *("created_at", "started_at", "finished_at", "rerun_of", "summary", "max_attempts", "rescues", "arguments"),
    )
)
"""Columns of which a row of a page is made."""

SHAPES_KEPT = 256
"""Statements that are kept, those that were asked for last: an operator asks for a handful of shapes all day."""

Given: TypeAlias = Mapping[str, Any]
"""The values of a search, or the parameters that stand for them, by name: see `_values`."""


class Shape(NamedTuple):
    """What decides the text of the statements of a search. Two searches of one shape differ in values alone.

    Args:
        states: those that are searched for; empty: all.
        filters: names of the other filters that the search has.
        ago: those of its times that say how long ago.
        arguments: of each filter on an argument, in how many ways the value is looked for.
        window: jobs that are read at most.
    """

    states: tuple[JobState, ...]
    filters: frozenset[str]
    ago: frozenset[str]
    arguments: tuple[int, ...]
    window: int

    @property
    def is_residual(self) -> bool:
        """Whether a filter has no index of its own: as `JobSearch.is_residual`."""
        return bool(self.arguments or ("within" not in self.filters and self.filters & {"agent", "user"}))


def page(tenant: str, search: JobSearch) -> Bound:
    """Select jobs that fit, newest first, with `agent` and `user_id`: one more than the page holds."""
    return _bound(_page, tenant, search, most=search.limit + 1)


def matching(tenant: str, search: JobSearch, most: int, *, with_reruns: bool) -> Bound:
    """Select `id` of the jobs that fit, newest first, at most so many: of the jobs that one `page` reads."""
    return _bound(_matching if with_reruns else _matching_first_runs, tenant, search, most=most)


def among(tenant: str, search: JobSearch, ids: Collection[UUID]) -> Bound:
    """Select `id` of those of these jobs that fit."""
    return _bound(_among, tenant, search, ids=list(ids))


def edge(tenant: str, search: JobSearch) -> Bound:
    """Select `created_at` and `id` of the last job that `page` read, if it did not read all; else no row."""
    return _bound(_edge, tenant, search)


def counts(tenant: str, search: JobSearch, seconds: float) -> Bound:
    """Count the newest jobs (`most_counted`): `state`, `slot`, and of each slot the `number` of jobs that fit,

    how many were `read`, and when the `oldest` of these was asked.

    Args:
        seconds: length of a slot; `slot` is the number of slots since 1970.
    """
    return _bound(_counts, tenant, search, seconds=seconds)


def _page(shape: Shape, given: Given) -> Select[Any]:
    if shape.is_residual:  # the columns of those few alone that fit
        chosen = _chosen(shape, given).cte("chosen").prefix_with("MATERIALIZED")
        of_those = jobs.c.id.in_(select(chosen.c.id))
        rows = select(*_SHOWN).where(jobs.c.tenant == given["tenant"], of_those).subquery()
    else:  # as they are found: to look them up again by their ids reads another page for each
        rows = _window(shape, given, given["most"], _SHOWN).subquery()
    return (
        select(*_listed(rows))
        .join(sessions, sessions.c.id == rows.c.session_id)
        .order_by(rows.c.created_at.desc(), rows.c.id.desc())
    )


def _listed(rows: FromClause) -> list[ColumnElement[Any]]:
    shown = [rows.c[column.name] for column in _SHOWN if column.name not in ("max_attempts", "rescues", "arguments")]
    return [
        *shown,
        (rows.c.max_attempts + rows.c.rescues).label("max_attempts"),
        sessions.c.agent,
        sessions.c.user_id,
        func.left(cast(rows.c.arguments, jobs.c.tool.type), 200).label("brief"),
    ]


def _matching(shape: Shape, given: Given) -> Select[Any]:
    return _chosen(shape, given)


def _matching_first_runs(shape: Shape, given: Given) -> Select[Any]:
    return _chosen(shape, given, jobs.c.rerun_of)


def _among(shape: Shape, given: Given) -> Select[Any]:
    these = jobs.c.id == any_(type_coerce(given["ids"], ARRAY(Uuid)))
    of_state = [jobs.c.state.in_(shape.states)] if shape.states else []
    found = select(jobs.c.id).where(these, *of_state, *_indexed(shape, given), *_contains(shape, given, jobs))
    if whose := _of_session(shape, given):
        found = found.join(sessions, sessions.c.id == jobs.c.session_id).where(*whose)
    return found


def _chosen(shape: Shape, given: Given, empty: ColumnElement[Any] | None = None) -> Select[Any]:
    """Select the ids that fit of a window.

    Args:
        empty: a column of `jobs` that has no value in those that are wanted.
    """
    size = shape.window if shape.is_residual or empty is not None else given["most"]
    ids = _window(shape, given, size, _looked_at(shape) + ([] if empty is None else [empty])).subquery()
    found = select(ids.c.id).where(*_residual(shape, given, ids))
    if empty is not None:
        found = found.where(ids.c[empty.name].is_(None))
    if whose := _of_session(shape, given):  # else no join, which Postgres might make of all sessions
        found = found.join(sessions, sessions.c.id == ids.c.session_id).where(*whose)
    return found.order_by(ids.c.created_at.desc(), ids.c.id.desc()).limit(given["most"])


def _edge(shape: Shape, given: Given) -> Select[Any]:
    ids = _window(shape, given, shape.window, (jobs.c.created_at, jobs.c.id)).subquery()
    last = select(ids.c.created_at, ids.c.id).order_by(ids.c.created_at.desc(), ids.c.id.desc())
    return last.offset(shape.window - 1).limit(1)


def _counts(shape: Shape, given: Given) -> Select[Any]:
    if "within" in shape.filters:
        return _by_slot(_of_sessions(shape, given), shape, given, None)
    if shape.is_residual:
        return _by_slot(_window(shape, given, LOOKED_AT, _looked_at(shape)), shape, given, None)
    each = []
    for state in shape.states or tuple(JobState):
        newest = _window(shape._replace(states=(state,)), given, COUNTED, (jobs.c.created_at, jobs.c.id))
        each.append(_by_slot(newest, shape, given, state))
    return select(union_all(*each).subquery())


def window_of(search: JobSearch) -> int:
    """Return how many jobs one page of a search reads whose filters have no index for all."""
    is_by_index = search.within is not None or _states_in_index(search.state, _filters(search), search.is_residual)
    return WINDOW_OF_INDEX if is_by_index else WINDOW


def contents(tenant: str, ids: Sequence[UUID]) -> Select[Any]:
    """Select what these jobs were asked and answered: `id`, `arguments`, `result`, `error`."""
    whole = (jobs.c.id, in_order(jobs.c.arguments), in_order(jobs.c.result), jobs.c.error)
    return select(*whole).where(jobs.c.tenant == tenant, jobs.c.id.in_(ids))


def most_counted(search: JobSearch) -> tuple[int | None, bool]:
    """Return how many jobs `counts` reads at most, or None for all that there are; and whether that is of each state.

    A chart is whole from the oldest of them on.
    """
    if search.within is not None:
        return None, False
    return (LOOKED_AT, False) if search.is_residual else (COUNTED, True)


def _by_slot(window: Select[Any], shape: Shape, given: Given, state: JobState | None) -> Select[Any]:
    """Count the jobs of a window; `state` None: of each state by itself."""
    ids = window.subquery()
    # Not EXTRACT, whose decimals take three times as long as the rows themselves.
    asked = func.date_part("epoch", ids.c.created_at, type_=Float)
    slot = cast(func.floor(asked / type_coerce(given["seconds"], Float)), BigInteger).label("slot")
    of = ids.c.state if state is None else literal(state.value).label("state")
    fits = _residual(shape, given, ids)
    if whose := _of_session(shape, given):  # by its id, job by job: a join would read all sessions
        fits.append(select(and_(*whose)).where(sessions.c.id == ids.c.session_id).scalar_subquery())
    numbers = (func.count().filter(and_(true(), *fits)).label("number"), func.count().label("read"))
    found = select(of, slot, *numbers, func.min(ids.c.created_at).label("oldest")).select_from(ids)
    return found.group_by(slot) if state else found.group_by(ids.c.state, slot)


def _of_sessions(shape: Shape, given: Given) -> Select[Any]:
    """Select all jobs of a few sessions: of them, and not of an index that has the jobs of all others too."""
    wanted = _indexed(shape, given)
    wanted += [jobs.c.state.in_(shape.states)] if shape.states else []
    columns = (jobs.c.id, jobs.c.created_at, jobs.c.state, jobs.c.session_id, jobs.c.arguments)
    return select(*columns).where(*wanted)


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


def _window(shape: Shape, given: Given, size: Any, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Select the newest jobs by the filters that have an index: each state is searched by itself, in its order.

    Args:
        size: jobs at most, as a number or a parameter.
        columns: `id` and `created_at` among them. Those that no index holds are read from the table, job by job.
    """
    states = _states_in_index(shape.states, shape.filters, shape.is_residual)
    rows = select(*columns).where(*_indexed(shape, given))
    if not states:
        return rows.order_by(*_NEWEST).limit(size)
    pages = [rows.where(jobs.c.state == state).order_by(*_NEWEST).limit(size).subquery() for state in states]
    if len(pages) == 1:
        return select(pages[0])
    both = union_all(*(select(page) for page in pages)).subquery()
    return select(both).order_by(both.c.created_at.desc(), both.c.id.desc()).limit(size)


def _looked_at(shape: Shape) -> list[ColumnElement[Any]]:
    """Return the columns that a filter without an index looks at."""
    columns: list[ColumnElement[Any]] = [jobs.c.id, jobs.c.created_at, jobs.c.state]
    return columns + ([jobs.c.session_id, jobs.c.arguments] if shape.is_residual else [])


def _states_in_index(states: tuple[JobState, ...], filters: frozenset[str], is_residual: bool) -> tuple[JobState, ...]:
    """Return the states that are each searched in an index; empty: the jobs are found in another order."""
    states = () if _is_of_most_states(states, filters, is_residual) else states
    if not states and filters & {"tool", "queue"} and not filters & {"session", "approval", "within", "id"}:
        return tuple(JobState)
    return states


def _is_of_most_states(states: tuple[JobState, ...], filters: frozenset[str], is_residual: bool) -> bool:
    """Return True if jobs in these states are found sooner among all jobs, of which each is looked at anyway."""
    return is_residual and len(states) > FEW_STATES and not filters & {"tool", "queue"}


def _indexed(shape: Shape, given: Given) -> list[ColumnElement[bool]]:
    columns = {"id": jobs.c.id, "session": jobs.c.session_id, "approval": jobs.c.approval}
    columns |= {"tool": jobs.c.tool, "queue": jobs.c.queue}
    wanted = [jobs.c.tenant == given["tenant"]]
    wanted += [column == given[name] for name, column in columns.items() if name in shape.filters]
    if "within" in shape.filters:
        wanted.append(jobs.c.session_id == any_(type_coerce(given["within"], ARRAY(Uuid))))
    if "since" in shape.filters:
        wanted.append(jobs.c.created_at >= _time(shape, given, "since"))
    if "until" in shape.filters:
        wanted.append(jobs.c.created_at < _time(shape, given, "until"))
    if "after" in shape.filters:
        at, last = type_coerce(given["after_at"], DateTime(timezone=True)), type_coerce(given["after_id"], Uuid)
        wanted.append(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(at, last))
    return wanted


def _time(shape: Shape, given: Given, name: str) -> ColumnElement[Any]:
    if name in shape.ago:
        # The statement's time and not `now()`: Postgres uses no index for a value that may change in a statement.
        return statement_time() - type_coerce(given[name], Interval)
    return type_coerce(given[name], DateTime(timezone=True))


def _residual(shape: Shape, given: Given, ids: FromClause) -> list[ColumnElement[bool]]:
    of_most = _is_of_most_states(shape.states, shape.filters, shape.is_residual)
    return [*([ids.c.state.in_(shape.states)] if of_most else []), *_contains(shape, given, ids)]


def _contains(shape: Shape, given: Given, rows: FromClause) -> list[ColumnElement[bool]]:
    return [
        or_(*(rows.c.arguments.contains(type_coerce(given[_document(place, way)], JSONB)) for way in range(ways)))
        for place, ways in enumerate(shape.arguments)
    ]


def _of_session(shape: Shape, given: Given) -> list[ColumnElement[bool]]:
    """Return what the job's session must be; nothing if the jobs are of sessions that fit."""
    if "within" in shape.filters:
        return []
    columns = {"agent": sessions.c.agent, "user": sessions.c.user_id}
    return [column == given[name] for name, column in columns.items() if name in shape.filters]


def _filters(search: JobSearch) -> frozenset[str]:
    names = ("id", "session", "tool", "queue", "approval", "agent", "user", "within", "since", "until", "after")
    return frozenset(name for name in names if getattr(search, name) is not None)


def _shape(search: JobSearch) -> Shape:
    ago = frozenset(name for name in ("since", "until") if isinstance(getattr(search, name), timedelta))
    ways = tuple(len(argument.documents) for argument in search.args)
    return Shape(search.state, _filters(search), ago, ways, window_of(search))


def _values(tenant: str, search: JobSearch) -> dict[str, Any]:
    """Return the values of a search by the names that `_indexed`, `_contains` and `_of_session` know."""
    values: dict[str, Any] = {"tenant": tenant}
    values |= {name: getattr(search, name) for name in sorted(_filters(search) - {"after", "within"})}
    if search.within is not None:
        values["within"] = list(search.within)
    if search.after is not None:
        values["after_at"], values["after_id"] = position(search.after)
    for place, argument in enumerate(search.args):
        values |= {_document(place, way): document for way, document in enumerate(argument.documents)}
    return values


def _document(place: int, way: int) -> str:
    return f"argument_{place}_{way}"


def _bound(build: Callable[[Shape, Given], Select[Any]], tenant: str, search: JobSearch, **more: Any) -> Bound:
    values = {**_values(tenant, search), **more}
    return _built(build, _shape(search), tuple(values))(**values)._replace(is_kept=False)


@lru_cache(SHAPES_KEPT)
def _built(build: Callable[[Shape, Given], Select[Any]], shape: Shape, names: tuple[str, ...]) -> Statement[Any]:
    def built(**given: Any) -> Select[Any]:
        return build(shape, given)

    return Statement(built, names)
