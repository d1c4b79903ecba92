"""A database whose clock stands still until a test moves it, under the very SQL that the product runs.

The statements call `clock_timestamp()` without a schema. On these connections a schema of the test's comes before
`pg_catalog` in the search path, and its function of that name reads a setting of the session.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from ringback.tables import metadata
from tests.servers import engine_of

START = datetime(2030, 1, 1, tzinfo=UTC)
CLOCKS = ("clock_timestamp", "statement_timestamp")
OPTIONS = f"-c search_path=moved,pg_catalog,public -c ringback.now={START.isoformat()}"


@contextmanager
def stopped_clock(database: str) -> Iterator[Connection]:
    """A connection to a migrated database, where it is START."""
    with engine_of(database, libpq=OPTIONS, isolation_level="AUTOCOMMIT").connect() as connection:
        _replace_clocks(connection)
        yield connection


def set_clock(connection: Connection, milliseconds: int) -> None:
    """It is so many milliseconds after START."""
    moment = (START + timedelta(milliseconds=milliseconds)).isoformat()
    connection.execute(text("SELECT set_config('ringback.now', :moment, false)"), {"moment": moment})


def milliseconds(moment: datetime | None) -> int | None:
    """After START."""
    return None if moment is None else round((moment - START).total_seconds() * 1000)


def _replace_clocks(connection: Connection) -> None:
    connection.execute(text("CREATE SCHEMA moved"))
    for clock in CLOCKS:
        body = "SELECT current_setting('ringback.now')::timestamptz"
        connection.execute(
            text(f"CREATE FUNCTION moved.{clock}() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ {body} $$")
        )
    # A default was bound to its function when the table was made.
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.server_default is not None and "clock_timestamp" in str(
                getattr(column.server_default, "arg", "")
            ):
                connection.execute(
                    text(f"ALTER TABLE {table.name} ALTER COLUMN {column.name} SET DEFAULT clock_timestamp()")
                )
