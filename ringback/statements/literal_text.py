"""Statement as text with its values in it: nothing is left to bind, and Postgres plans it once for each connection."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

_dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # "%" stands for itself in this one


def as_text(statement: ClauseElement) -> str:
    """Return the statement with its values in it; they are names and numbers that Ringback makes."""
    return str(statement.compile(dialect=_dialect, compile_kwargs={"literal_binds": True}))
