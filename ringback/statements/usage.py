"""Usage of responses, and what is left of the budgets.

A row of `responses` is written once, however often a response is reported; a trigger sums it up. Days are UTC's.
"""

from __future__ import annotations

from datetime import date
from functools import cache, reduce
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Insert,
    Select,
    and_,
    cast,
    func,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert as insert_once

from ringback.postgres.statement import Bound, Statement, statement
from ringback.statements.clock import now
from ringback.tables import responses, sessions, tenants, usage_days
from ringback.usage.budgets import Whose
from ringback.usage.prices import Usage
from ringback.usage.report import UsageQuery

_SUMS: list[ColumnElement[Any]] = [
    cast(func.coalesce(func.sum(usage_days.c[name]), 0), BigInteger).label(name)
    for name in ("responses", "input_tokens", "output_tokens", "micros")
]


def record(session_id: UUID, response_id: str, epoch: int, status: str, usage: Usage, micros: int | None) -> Bound:
    """Record the usage of one response. 0 rows: it is recorded already, or the session was erased.

    Args:
        micros: cost in millionths of a US dollar; None: unknown.
    """
    tokens = usage.input_tokens, usage.output_tokens, usage.as_json()
    return _record(session_id, response_id, epoch, status, *tokens, micros)


@statement
def _record(
    session_id: UUID,
    response_id: str,
    epoch: int,
    status: str,
    input_tokens: int,
    output_tokens: int,
    tokens: dict[str, Any],
    micros: int | None,
) -> Insert:
    given = {"response_id": response_id, "epoch": epoch, "status": status, "micros": micros, "tokens": tokens}
    given |= {"input_tokens": input_tokens, "output_tokens": output_tokens}
    values: dict[str, Any] = {
        "session_id": sessions.c.id,
        "tenant": sessions.c.tenant,
        "user_id": sessions.c.user_id,
        "agent": sessions.c.agent,
        "model": func.coalesce(sessions.c.model, ""),
        **{name: type_coerce(value, responses.c[name].type) for name, value in given.items()},
    }
    row = select(*values.values()).where(sessions.c.id == session_id)
    return insert_once(responses).from_select(list(values), row).on_conflict_do_nothing()


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


def total(tenant: str, query: UsageQuery) -> Select[Any]:
    """Return one row with the sums over all that the query selects."""
    return select(*_SUMS).where(*_asked(tenant, query))


def groups(tenant: str, query: UsageQuery) -> Select[Any]:
    """Return a row for each `key`, with its sums: one more than the page holds."""
    column: ColumnElement[Any] = usage_days.c["user_id" if query.group_by == "user" else query.group_by]
    wanted = _asked(tenant, query)
    newest_first = query.group_by == "day"
    if query.after is not None:
        wanted.append(column < date.fromisoformat(query.after) if newest_first else column > query.after)
    found: Select[Any] = select(column.label("key"), *_SUMS).where(*wanted).group_by(column)
    return found.order_by(column.desc() if newest_first else column).limit(query.limit + 1)


def _asked(tenant: str, query: UsageQuery) -> list[ColumnElement[bool]]:
    return [usage_days.c.tenant == tenant, usage_days.c.day.between(query.first, query.last)]
