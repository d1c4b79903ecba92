"""Connections of every process to Postgres, so that all of them follow the URL in the same way.

A pooler such as PgBouncer refuses or drops what a client asks for at the start of a connection. In transaction mode it
hands each transaction to another server process, where earlier settings and prepared statements are missing. So no
option is sent at the start. A new connection is asked once whether the process that replies is the one that greeted it:

    direct   the bounds are set for the connection; a statement is prepared at its second use, and planned once
    pooled   the bounds are set in each transaction, with its BEGIN; no statement is prepared

A connection is in autocommit: BEGIN and COMMIT would be two more round trips for each statement. Behind a pooler they
are needed (`begin`), as a bound holds only within a transaction there.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

import msgspec
import psycopg
from psycopg import AsyncRawCursor, RawCursor
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_dumps
from sqlalchemy import Engine, create_engine

from ringback.errors import ConfigurationError
from ringback.postgres import answers
from ringback.postgres.kept import Answer
from ringback.postgres.statement import Bound, Runnable, bound
from ringback.postgres.url import read

Connection: TypeAlias = answers.Connection
AsyncConnection: TypeAlias = answers.AsyncConnection

DIALECT = "postgresql+psycopg://"
AT_SECOND_USE, NEVER = 1, None
"""Psycopg's `prepare_threshold`. To prepare costs a round trip, which a statement that runs once would not earn."""
PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan"
"""A statement that is built once has one plan for all parameters. Postgres would plan it six times before it keeps one,
and some each time."""
PLANNED_ANEW = b"SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"
"""The rest of the transaction is planned for its parameters: what is built when it is asked, such as a search."""
WHO_ANSWERS = b"SELECT pg_backend_pid()"
UTF8 = "UTF8"
ENCODING = b"SELECT current_setting('server_encoding')"
"""Statement whose value `refuse_encoding` takes."""
ENDED_BY_POSTGRES = frozenset({"FATAL", "PANIC"})
"""Severities of an error after which Postgres closes the connection."""
COMMIT, ROLLBACK = b"COMMIT", b"ROLLBACK"
LATE_SECONDS = 0.5
"""How much later than its bound the answer to a statement may come: by then Postgres has cancelled it."""

_encode = msgspec.json.Encoder().encode


class NoFreeConnection(psycopg.OperationalError):
    """Each connection of a pool was in use for too long."""


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

    @property
    def answer_seconds(self) -> float:
        """Return how long an answer may take: after that, none is to be expected."""
        return self.statement_seconds + LATE_SECONDS

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
        "prepare_threshold": NEVER,
        **more,
    }


def connect(url: str, name: str, connect_seconds: int, bounds: Bounds | None = None, **more: Any) -> Connection:
    """Connect now. A row's columns have the names that the statement gives them.

    Args:
        bounds: of each statement on a direct connection; behind a pooler, `begin` sends them. None: an answer may take
            as long as it takes.
        more: further arguments of `psycopg.connect`.
    """
    connection = answers.Connection.connect(
        **connect_arguments(url, name, connect_seconds, **more),
        autocommit=True,
        cursor_factory=RawCursor,
        row_factory=namedtuple_row,
    )
    connection.answer_seconds = connect_seconds
    try:
        if not read(url).is_pooled and connection.execute(WHO_ANSWERS).fetchone() == (connection.info.backend_pid,):
            if bounds:
                connection.execute(f"{bounds.as_sql('SET')}; {PLANNED_ONCE}".encode())
            connection.prepare_threshold = AT_SECOND_USE
    except psycopg.Error:
        connection.close()
        raise
    connection.answer_seconds = bounds.answer_seconds if bounds else inf
    return connection


async def connect_async(url: str, name: str, connect_seconds: int, bounds: Bounds) -> AsyncConnection:
    """Connect as `connect` does, for an event loop."""
    connection = await answers.AsyncConnection.connect(
        **connect_arguments(url, name, connect_seconds),
        autocommit=True,
        cursor_factory=AsyncRawCursor,
        row_factory=namedtuple_row,
    )
    connection.answer_seconds = connect_seconds
    set_json_dumps(as_json, connection)
    try:
        answering = await (await connection.execute(WHO_ANSWERS)).fetchone()
        if not read(url).is_pooled and answering == (connection.info.backend_pid,):
            await connection.execute(f"{bounds.as_sql('SET')}; {PLANNED_ONCE}".encode())
            connection.prepare_threshold = AT_SECOND_USE
    except BaseException:
        await connection.close()
        raise
    connection.answer_seconds = bounds.answer_seconds
    return connection


def as_json(value: Any) -> bytes | str:
    """Encode a parameter as JSON, in a tenth of the time of psycopg's own way.

    Text with half a character is for Postgres to refuse: callers expect its error.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value)


def is_pooled(connection: Connection | AsyncConnection) -> bool:
    """Return True if a pooler stands between this connection and Postgres."""
    return connection.prepare_threshold is NEVER


def begin(connection: Connection | AsyncConnection, bounds: Bounds | None = None) -> bytes:
    """Return the SQL that begins a transaction; behind a pooler it sets the bounds, in the same round trip."""
    first = "BEGIN ISOLATION LEVEL READ COMMITTED"
    return (f"{first}; {bounds.as_sql('SET LOCAL')}" if bounds and is_pooled(connection) else first).encode()


def execute(connection: Connection, statement: Runnable) -> Answer:
    """Execute the statement; return what Postgres answered."""
    ready = bound(statement)
    if is_pooled(connection):
        return _answer_in(connection.execute(ready.text, ready.parameters, prepare=False))
    if ready.is_kept:
        return connection.wait(connection.kept.run(ready))
    with connection.pipeline():
        connection.execute(PLANNED_ANEW, prepare=False)
        cursor = connection.execute(ready.text, ready.parameters, prepare=False)
    return _answer_in(cursor)


def _answer_in(cursor: psycopg.Cursor[Any]) -> Answer:
    return Answer(cursor.fetchall() if cursor.description else [], cursor.rowcount)


async def execute_async(connection: AsyncConnection, statement: Bound) -> Answer:
    """Execute the statement, outside of a pipeline; return what Postgres answered."""
    if statement.is_kept and not is_pooled(connection):
        return await connection.wait(connection.kept.run(statement))
    async with nullcontext() if is_pooled(connection) else connection.pipeline():
        cursor = await execute_in_pipeline(connection, statement)
    return Answer(await cursor.fetchall() if cursor.description else [], cursor.rowcount)


async def execute_in_pipeline(connection: AsyncConnection, statement: Bound) -> psycopg.AsyncCursor[Any]:
    """Send the statement, in a pipeline; return the cursor that has its rows once that is over."""
    if is_pooled(connection):
        return await connection.execute(statement.text, statement.parameters, prepare=False)
    if statement.is_kept:
        return await connection.execute(statement.text, statement.parameters)
    await connection.execute(PLANNED_ANEW, prepare=False)
    return await connection.execute(statement.text, statement.parameters, prepare=False)


def is_cut(problem: psycopg.Error) -> bool:
    """Return True if the connection broke under a statement, which may have been committed all the same."""
    if problem.sqlstate is None:  # libpq says so, and not Postgres
        return isinstance(problem, psycopg.OperationalError)
    return (problem.diag.severity_nonlocalized or problem.diag.severity) in ENDED_BY_POSTGRES


def open_engine(url: str, name: str, connect_seconds: int, **options: Any) -> Engine:
    """Return SQLAlchemy's engine, which migrations need. `options` are those of `create_engine`."""
    arguments = connect_arguments(url, name, connect_seconds)
    return create_engine(DIALECT, connect_args=arguments, hide_parameters=True, **options)
