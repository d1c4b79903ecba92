"""How to ask for the state of a row that is found by its key, so that its key is what it is found by.

Most indexes of `jobs` and `sessions` hold the few rows that something is still to be done with: what is pending, live,
detached. Postgres takes such an index for as small as it was when it last looked. To find one row by its id it would
then rather read the whole of that index, which holds twenty thousand by now.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from ringback.tables import jobs


def is_now(column: ColumnElement[Any], *values: str) -> ColumnElement[bool]:
    """True where the column has one of these values; in words that fit the condition of no index."""
    said = column.concat("")
    return said == values[0] if len(values) == 1 else said.in_(sorted(values))


def waits() -> ColumnElement[bool]:
    """True for a pending job, in the words of `ix_jobs_oldest_in_queue` alone: one that runs has a token."""
    return jobs.c.token.is_(None) & jobs.c.finished_at.is_(None)
