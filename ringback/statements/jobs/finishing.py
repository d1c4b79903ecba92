"""Outcomes of several calls of one worker, written in one statement: each by its own token, as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Text, Uuid, column, func, select, type_coerce
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.postgres.statement import Bound, as_records, statement
from ringback.statements.jobs.transitions import finished
from ringback.tables import jobs

_OUTCOME: dict[str, Any] = {
    "job_id": Uuid(),
    "token": Uuid(),
    "state": Text(),
    "result": JSON(),
    "error": jobs.c.error.type,
    "sealed_result": jobs.c.sealed_result.type,
    "failure": jobs.c.failure.type,
    "summary": Text(),
}
"""Arguments of `transitions.finish`, as columns."""


def finish_all(each: Sequence[Bound]) -> Bound:
    """Write several outcomes in one statement, each as its `transitions.finish` says; return its row with `job_id` too.

    It waits for no lock, so a job that is locked holds up no other: its outcome is left out. An outcome without a row
    is to be written alone.
    """
    return _finish_all(as_records(each))


@statement
def _finish_all(outcomes: list[dict[str, Any]]) -> ReturningUpdate[Any]:
    told = func.json_to_recordset(type_coerce(outcomes, JSON))
    each = told.table_valued(*(column(name, kind) for name, kind in _OUTCOME.items()))
    each = each.render_derived("each", with_types=True)
    # Of a recordset, which Postgres takes for a hundred rows, it takes this for ten: else it may walk the table.
    all_of_it = func.json_array_length(type_coerce(outcomes, JSON))
    outcome = select(each).limit(all_of_it).subquery("outcome")
    # With the session's id, so that Postgres finds each job by its own id alone, and not among all of its session.
    by_id = select(jobs.c.session_id, *outcome.c).join_from(outcome, jobs, jobs.c.id == outcome.c.job_id)
    held = by_id.with_for_update(of=jobs, skip_locked=True).cte("held")
    return finished(**dict(held.c)).returning(held.c.job_id)
