"""A look of a process at the database: whether it sweeps for all now, and which steps of a sweep have work.

Each process looks twice a second, or more rarely if many live (`ringback.sweeper`). So a look is one statement,
whatever there is to do. A flag is true if the statement that it stands for would find a row: both read the same SELECT.

A look has no parameter: Postgres plans it once for each connection, and a condition with its value in it fits an index
that has it too. With parameters it would plan all of it anew each time, which takes longer than the look.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, false, func, select
from sqlalchemy.dialects import postgresql

from ringback.postgres.statement import Bound
from ringback.statements import erasure, processes, webhooks
from ringback.statements.jobs import sweeps
from ringback.statements.sessions import announced_calls, calls, lifecycle

_dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # "%" stands for itself in this one


@cache
def look(process_id: str) -> Bound:
    """Take the turn to sweep, if it is free. Returns one row: `is_ours`, `living`, and a flag for each step.

    `living` is how many processes hold their lease. The flags are read only if the turn is this process's.
    """
    return _without_parameters(_turn(process_id))


@cache
def look_of_gateway(gateway_id: str, left: float = calls.LEFT_SECONDS) -> Bound:
    """Return the same for a gateway, and a flag for each of its own tasks: these are read whose turn it may be.

    Args:
        left: as in `calls.unattended`.
    """
    own: dict[str, Select[Any]] = {
        "due_webhooks": webhooks.due(),
        "erased_users": erasure.next_user(),
        "held_sessions": lifecycle.held_sessions.build(gateway_id),
        "lost_announcements": announced_calls.lost(gateway_id),
        "unattended_calls": calls.unattended(gateway_id, left),
    }
    flags: list[ColumnElement[bool]] = [exists(found).label(name) for name, found in own.items()]
    return _without_parameters(_turn(gateway_id).add_columns(*flags))


def _turn(process_id: str) -> Select[Any]:
    ours = exists(select(processes.sweep_turn(process_id).c.id))
    living = select(func.count()).where(processes.holds_its_lease()).scalar_subquery()
    flags = [case((ours, exists(found)), else_=false()).label(name) for name, found in _steps(process_id).items()]
    return select(ours.label("is_ours"), living.label("living"), *flags)


def _without_parameters(statement: Select[Any]) -> Bound:
    """Return the statement with its values in its text; they are names and numbers that Ringback makes."""
    return Bound(str(statement.compile(dialect=_dialect, compile_kwargs={"literal_binds": True})).encode(), [])


def _steps(process_id: str) -> Mapping[str, Select[Any]]:
    return {
        "lost_sessions": sweeps.lost_sessions(process_id),
        "lost_workers": processes.lost_workers(process_id),
        "lost_jobs": sweeps.lost_jobs(process_id),
        "overdue_jobs": sweeps.overdue_jobs(),
        "unresumed_sessions": sweeps.unresumed_sessions(),
        "late_results": sweeps.late_results(),
        "due_jobs": sweeps.due_jobs(),
    }
