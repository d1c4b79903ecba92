"""Connections of every process to Postgres, so that all of them follow the URL in the same way.

A pooler such as PgBouncer refuses or drops what a client asks for at the start of a connection. In transaction mode it
hands each transaction to another server process, where earlier settings and prepared statements are missing. So no
option is sent at the start. A new connection is asked once whether the process that replies is the one that greeted it:

    direct   the bounds are set for the connection; statements are prepared
    pooled   the bounds are set in each transaction, with its BEGIN; no statement is prepared

A statement with bounds must be committed (`engine.begin()`), also in autocommit: behind a pooler it has a BEGIN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, func, select

from ringback.errors import ConfigurationError
from ringback.postgres.url import read

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

DIALECT = "postgresql+psycopg://"
PREPARE_AFTER = 5
"""Psycopg's default: a statement that has run this often is prepared."""
POOLED = "pooled"
"""Key of `info` that notes whether a connection goes through a pooler."""
UTF8 = "UTF8"
ENCODING = select(func.current_setting("server_encoding"))
"""Statement whose value `refuse_encoding` takes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of each statement.

    Args:
        statement_seconds: Postgres cancels a statement that takes longer.
        idle_seconds: Postgres ends a transaction that waits for its client for so long.
        lazy: a commit does not wait for the disk.
    """

    statement_seconds: float
    idle_seconds: float | None = None
    lazy: bool = False

    def as_sql(self, scope: str) -> str:
        """Return SET (`SET LOCAL`) for each of them."""
        values = {"statement_timeout": str(int(self.statement_seconds * 1000))}
        if self.idle_seconds is not None:
            values["idle_in_transaction_session_timeout"] = str(int(self.idle_seconds * 1000))
        if self.lazy:
            values["synchronous_commit"] = "off"
        return "; ".join(f"{scope} {name} = {value}" for name, value in values.items())


def refuse_encoding(found: str) -> None:
    """Raise ConfigurationError if the database cannot keep every character: a call with an emoji would be lost."""
    if found != UTF8:
        raise ConfigurationError(
            f"the database in DATABASE_URL keeps text as {found}, and Ringback needs UTF8: make another one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def connect_arguments(url: str, name: str, connect_seconds: int, **more: Any) -> dict[str, Any]:
    """Return the arguments of `psycopg.connect`. An `application_name` of the URL replaces `name`.

    Raises:
        ValueError: the URL cannot be used (`ringback.postgres.url`).
    """
    return {
        "application_name": name,
        **read(url).arguments,
        "connect_timeout": connect_seconds,
        "client_encoding": UTF8,  # despite PGCLIENTENCODING or the database: JSON holds any character
        "prepare_threshold": None,
        **more,
    }


def open_engine(
    url: str, name: str, connect_seconds: int, bounds: Bounds | None = None, *, more: Any = None, **options: Any
) -> Engine:
    """Return an engine. `more` are arguments of `psycopg.connect`, `options` those of `create_engine`."""
    arguments = connect_arguments(url, name, connect_seconds, **(more or {}))
    engine = create_engine(DIALECT, connect_args=arguments, hide_parameters=True, **options)
    _hold(engine, bounds, read(url).is_pooled)
    return engine


def open_async_engine(url: str, name: str, connect_seconds: int, bounds: Bounds, **options: Any) -> AsyncEngine:
    """Return an async engine, as `open_engine` does."""
    arguments = connect_arguments(url, name, connect_seconds)
    from sqlalchemy.ext.asyncio import create_async_engine  # loads the ORM with it, which a command does not need

    engine = create_async_engine(DIALECT, connect_args=arguments, hide_parameters=True, **options)
    _hold(engine.sync_engine, bounds, read(url).is_pooled)
    return engine


def connect(url: str, name: str, connect_seconds: int, bounds: Bounds, **more: Any) -> psycopg.Connection[Any]:
    """Connect at once, in autocommit, for statements in text. Behind a pooler, the caller's clock is the only bound."""
    connection = psycopg.connect(**connect_arguments(url, name, connect_seconds, **more), autocommit=True)
    try:
        answering = connection.execute("SELECT pg_backend_pid()").fetchone()
        if answering == (connection.info.backend_pid,) and not read(url).is_pooled:
            connection.execute(bounds.as_sql("SET").encode())
    except psycopg.Error:
        connection.close()
        raise
    return connection


def _hold(engine: Engine, bounds: Bounds | None, said_pooled: bool) -> None:
    """Apply the bounds to each connection of the engine, direct or pooled."""

    def connected(connection: Any, record: Any) -> None:
        cursor, driver = connection.cursor(), record.driver_connection
        cursor.execute("SELECT pg_backend_pid()")
        record.info[POOLED] = said_pooled or cursor.fetchone()[0] != driver.info.backend_pid
        if not record.info[POOLED]:
            driver.prepare_threshold = PREPARE_AFTER
            if bounds:
                cursor.execute(bounds.as_sql("SET"))
        cursor.close()
        connection.commit()

    def begun(connection: Connection) -> None:
        if bounds and connection.info[POOLED]:
            is_autocommit = connection.connection.driver_connection.autocommit  # type: ignore[union-attr]
            begin = "BEGIN; " if is_autocommit else ""  # otherwise psycopg sends its own
            connection.exec_driver_sql(f"{begin}{bounds.as_sql('SET LOCAL')}")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
