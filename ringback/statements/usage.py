"""Usage of responses, and what is left of the budgets.

A row of `responses` is written once, however often a response is reported; a trigger sums it up. Days are UTC's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, reduce
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Insert,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    cast,
    column,
    func,
    null,
    select,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_once

from ringback.postgres.statement import Bound, Statement, statement
from ringback.statements.clock import now
from ringback.tables import responses, sessions, tenants, usage_days
from ringback.usage.budgets import Whose
from ringback.usage.prices import Usage
from ringback.usage.report import UsageQuery

SESSIONS_COUNTED = 20_000
"""Sessions whose minutes one report sums up: a statement that reads more would take a tenth of a second."""

_SUMMED = ("responses", "input_tokens", "output_tokens", "micros")
_SUMS: list[ColumnElement[Any]] = [
    cast(func.coalesce(func.sum(usage_days.c[name]), 0), BigInteger).label(name) for name in _SUMMED
]


@dataclass(frozen=True, slots=True)
class ResponseUsage:
    """What one response has used. `micros` is its cost in millionths of a US dollar; None: unknown."""

    session_id: UUID
    response_id: str
    epoch: int
    status: str
    used: Usage
    micros: int | None


def record(of: Iterable[ResponseUsage]) -> Bound:
    """Record the usage of responses. Changes no row for one that is recorded already, or whose session was erased."""
    written = list(of)
    return _record(
        [
            {
                "session_id": str(each.session_id),
                "response_id": each.response_id,
                "epoch": each.epoch,
                "status": each.status,
                "input_tokens": each.used.input_tokens,
                "output_tokens": each.used.output_tokens,
                "tokens": each.used.as_json(),
                "micros": each.micros,
            }
            for each in written
        ],
        list({each.session_id for each in written}),
    )


_TOLD = ("response_id", "epoch", "status", "input_tokens", "output_tokens", "tokens", "micros")


@statement
def _record(told: list[dict[str, Any]], session_ids: list[UUID]) -> Insert:
    over = (
        func.jsonb_to_recordset(type_coerce(told, JSONB))
        .table_valued(*(column(name, responses.c[name].type) for name in ("session_id", *_TOLD)))
        .render_derived("over", with_types=True)
    )
    # No session is deleted meanwhile. Once the rows are there, a trigger adds to the sums, in the order of
    # `lifecycle.held`: only from then on an admission passes over these sessions.
    mine = (
        select(sessions.c.id, sessions.c.tenant, sessions.c.user_id, sessions.c.agent, sessions.c.model)
        # Postgres takes a recordset for a hundred rows, and would rather read all sessions than find so many.
        .where(sessions.c.id == any_(type_coerce(session_ids, ARRAY(Uuid))))
        .order_by(sessions.c.id)
        .with_for_update(read=True, key_share=True)
        .cte("mine")
    )
    values: dict[str, Any] = {
        "session_id": mine.c.id,
        "tenant": mine.c.tenant,
        "user_id": mine.c.user_id,
        "agent": mine.c.agent,
        "model": func.coalesce(mine.c.model, ""),
        **{name: over.c[name] for name in _TOLD},
    }
    rows = select(*values.values()).join_from(mine, over, mine.c.id == over.c.session_id)
    # In an order, so that two gateways that tell of the same responses wait for each other in turn.
    rows = rows.order_by(mine.c.id, over.c.response_id)
    return insert_once(responses).from_select(list(values), rows).on_conflict_do_nothing()


@statement
def allowances_of(tenant: str) -> Select[Any]:
    """Return the tenant's own row, if it has one."""
    return select(tenants.c.allowances).where(tenants.c.tenant == tenant)


def usage_so_far(session_id: UUID | None, tenant: str, user_id: str, whose: frozenset[Whose]) -> Bound:
    """Return one row: `<whose>_tokens` and `<whose>_micros` of each in `whose`; today's for users and tenants.

    Args:
        session_id: None if there is no session yet, which has used no tokens.
    """
    return _used_by(whose)(session_id, tenant, user_id)


@cache
def _used_by(whose: frozenset[Whose]) -> Statement[[UUID | None, str, str]]:
    """Build it once for each combination of budgets that an operator sets."""

    def usage_so_far(session_id: UUID | None, tenant: str, user_id: str) -> Select[Any]:
        mine, ours = usage_days.c.tenant == tenant, usage_days.c.user_id == user_id
        spent = {"user": _today(and_(mine, ours), "of_user"), "tenant": _today(mine, "of_tenant")}
        wanted = [table for name, table in spent.items() if name in whose]
        columns = [
            column.label(f"{name}_{what}")
            for name, table in spent.items()
            if name in whose
            for what, column in table.c.items()
        ]
        if "session" in whose:
            of_session = [sessions.c.id == session_id]
            columns += [
                func.coalesce(select(column).where(*of_session).scalar_subquery(), 0).label(f"session_{column.name}")
                for column in (sessions.c.tokens, sessions.c.micros)
            ]
        found = select(*columns)
        if wanted:
            found = found.select_from(reduce(lambda left, right: left.join(right, true()), wanted))
        return found

    return Statement(usage_so_far)


def _today(of: ColumnElement[bool], name: str) -> Any:
    today = cast(func.timezone("UTC", now()), Date)
    # A subquery, so that Postgres evaluates the day once and searches the index for it.
    day = select(today).scalar_subquery()
    tokens = func.sum(usage_days.c.input_tokens + usage_days.c.output_tokens)
    sums = (
        cast(func.coalesce(tokens, 0), BigInteger).label("tokens"),
        cast(func.coalesce(func.sum(usage_days.c.micros), 0), BigInteger).label("micros"),
    )
    return select(*sums).where(of, usage_days.c.day == day).subquery(name)


@statement
def of_session(tenant: str, session_id: UUID) -> Select[Any]:
    """Return what the responses of a session used so far: `tokens`, `micros`."""
    so_far = select(sessions.c.tokens, sessions.c.micros)
    return so_far.where(sessions.c.tenant == tenant, sessions.c.id == session_id)


def groups(tenant: str, query: UsageQuery) -> Select[Any]:
    """Return the sums over all that the query selects, in a row without a `key`, and then a row for each `key`.

    There is one row more than the page holds. The days are read once, for both: they are most of the work.
    """
    column: ColumnElement[Any] = usage_days.c["user_id" if query.group_by == "user" else query.group_by]
    is_day = query.group_by == "day"
    each = select(column.label("key"), *_SUMS).where(*_asked(tenant, query)).group_by(column)
    after = date.fromisoformat(query.after) if is_day and query.after is not None else query.after
    return _with_the_whole(each, query.limit, after, newest_first=is_day)


def _with_the_whole(
    each: Select[Any], limit: int, after: date | str | None, *, newest_first: bool = False
) -> Select[Any]:
    """Return the sums of all groups, and a page of the groups."""
    summed = each.cte("summed").prefix_with("MATERIALIZED")
    sums = [cast(func.coalesce(func.sum(summed.c[name]), 0), BigInteger).label(name) for name in _SUMMED]
    shown = select(summed)
    if after is not None:
        shown = shown.where(summed.c.key < after if newest_first else summed.c.key > after)
    shown = shown.order_by(summed.c.key.desc() if newest_first else summed.c.key).limit(limit + 1)
    whole = select(cast(null(), summed.c.key.type).label("key"), *sums)
    rows = union_all(whole, select(shown.subquery())).subquery()
    ordered = rows.c.key.desc() if newest_first else rows.c.key
    found: Select[Any] = select(rows).order_by(ordered.nulls_first())
    return found


def by_tenant(query: UsageQuery) -> Select[Any]:
    """Return the same by tenant, over the days of all tenants: for the operator."""
    days = usage_days.c.day.between(query.first, query.last)
    each: Select[Any] = select(usage_days.c.tenant.label("key"), *_SUMS).where(days).group_by(usage_days.c.tenant)
    return _with_the_whole(each, query.limit, None)


def minutes(tenant: str, query: UsageQuery) -> Select[Any]:
    """Return how long the sessions that began in these days lasted: `seconds` by `key`, a day, user, agent or model.

    At most the newest `SESSIONS_COUNTED` sessions are read.
    """
    began = func.timezone("UTC", sessions.c.created_at)
    columns = {"day": cast(began, Date), "user": sessions.c.user_id, "agent": sessions.c.agent}
    key = columns.get(query.group_by, func.coalesce(sessions.c.model, ""))
    first, behind = (func.timezone("UTC", cast(day, DateTime)) for day in (query.first, query.last + timedelta(days=1)))
    # Not EXTRACT, whose decimals are slow to sum up.
    lasted = func.date_part("epoch", func.coalesce(sessions.c.ended_at, now()) - sessions.c.created_at, type_=Float)
    newest = (
        select(key.label("key"), lasted.label("seconds"))
        .where(sessions.c.tenant == tenant, sessions.c.created_at >= first, sessions.c.created_at < behind)
        .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
        .limit(SESSIONS_COUNTED)
        .subquery()
    )
    seconds = cast(func.sum(newest.c.seconds), Float).label("seconds")
    return select(cast(newest.c.key, Text).label("key"), seconds).group_by(newest.c.key)


def _asked(tenant: str, query: UsageQuery) -> list[ColumnElement[bool]]:
    return [usage_days.c.tenant == tenant, usage_days.c.day.between(query.first, query.last)]
