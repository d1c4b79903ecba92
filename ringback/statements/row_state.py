"""Tests of the state of a row that is found by its key, so that Postgres uses the index of that key.

Most indexes of `jobs` and `sessions` hold the few rows that need work: pending, live, detached. Postgres takes such an
index for as small as it was at its last look. To find one row by its id it would then rather read the whole of that
index, which may hold twenty thousand rows by now.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from ringback.tables import jobs


def is_now(column: ColumnElement[Any], *values: str) -> ColumnElement[bool]:
    """Return true if the column has one of these values, written so that it matches the condition of no index."""
    said = column.concat("")
    return said == values[0] if len(values) == 1 else said.in_(sorted(values))


def is_waiting() -> ColumnElement[bool]:
    """Return true for a pending job, written as in `ix_jobs_oldest_in_queue` alone: a running job has a token."""
    return jobs.c.token.is_(None) & jobs.c.finished_at.is_(None)
