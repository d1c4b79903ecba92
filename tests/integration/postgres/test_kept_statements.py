"""A kept statement is run as psycopg would run it, and in half the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from ringback.postgres.connections import (
    Bounds,
    Connection,
    connect,
    connect_async,
    execute,
    execute_async,
    is_cut,
)
from ringback.postgres.statement import Bound

ID, MOMENT = UUID(int=7), datetime(2026, 12, 1, tzinfo=UTC)
WAITS_FOR_A_LOCK = Bound(
    b"SELECT FROM pg_locks JOIN pg_database ON oid = database "
    b"WHERE NOT granted AND locktype = 'advisory' AND datname = current_database()",
    [],
)
PREPARED = b"SELECT count(*)::int AS count FROM pg_prepared_statements"


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "a worker", 3, Bounds(5.0)) as connection:
        yield connection


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        (b"SELECT $1::uuid AS id, $2::text AS name, $3::timestamptz AS moment", [ID, "späti", MOMENT]),
        (
            b"SELECT $1::jsonb AS data, $2::numeric AS seconds, $3::bytea AS sealed",
            [Jsonb({"a": [1]}), Decimal(2), b"x"],
        ),
        (b"SELECT unnest($1::text[]) AS name, $2::int AS number, $3::bool AS known", [["a", "b"], 7, None]),
        (b"SELECT 1 AS one WHERE $1::int = 0", [1]),
        (b"UPDATE jobs SET progress = $1 WHERE false", ["x"]),
        (b"SET LOCAL lock_timeout = 0", []),
    ],
)
def test_its_rows_are_those_of_a_cursor(connection: Connection, text: bytes, parameters: list[Any]) -> None:
    cursor = connection.execute(text, parameters)
    rows = cursor.fetchall() if cursor.description else []
    for _ in range(3):  # as it comes, as it is prepared, and as it is kept
        answer = execute(connection, Bound(text, parameters))
        assert (answer.rows, answer.count) == (rows, max(cursor.rowcount, 0))
        assert [row._asdict() for row in answer.rows] == [row._asdict() for row in rows]
        assert answer.first == (rows[0] if rows else None)


def test_it_is_prepared_at_its_second_run_and_once_for_each_type_of_its_parameters(connection: Connection) -> None:
    texts = [b"SELECT $1 AS one", b"SELECT $1 AS other"]
    (before,) = connection.execute(PREPARED, prepare=False).fetchall()
    known = []
    for _ in range(3):
        for text in texts:
            assert execute(connection, Bound(text, ["x"])).first == ("x",)
            assert execute(connection, Bound(text, [1])).first == (1,)
        known += connection.execute(PREPARED, prepare=False).fetchall()
    assert [after.count - before.count for after in known] == [0, 4, 4]


def test_an_idle_connection_holds_nothing_of_what_it_read(connection: Connection) -> None:
    for _ in range(3):
        assert execute(connection, Bound(b"SELECT repeat('x', 1000000) AS words", [])).count == 1
        assert connection.kept._adapter.pgresult is None


@pytest.mark.parametrize("runs", range(3))
def test_what_postgres_refuses_is_raised_and_the_connection_goes_on(connection: Connection, runs: int) -> None:
    divided = b"SELECT 7 / $1::int AS part"
    for _ in range(runs):
        assert execute(connection, Bound(divided, [7])).first == (1,)
    with pytest.raises(errors.DivisionByZero, match="division by zero"):
        execute(connection, Bound(divided, [0]))
    assert execute(connection, Bound(divided, [1])).first == (7,)
    for _ in range(2):
        with pytest.raises(errors.SyntaxError):
            execute(connection, Bound(b"SELECT FROM WHERE $1", ["x"]))
    assert execute(connection, Bound(divided, [1])).first == (7,)


def test_one_that_is_refused_as_it_is_prepared_is_prepared_later(connection: Connection) -> None:
    reads = Bound(b"SELECT number FROM here_later", [])
    for _ in range(2):
        with pytest.raises(errors.UndefinedTable):
            execute(connection, reads)
    connection.execute(b"CREATE TEMPORARY TABLE here_later AS SELECT 7 AS number", prepare=False)
    assert [execute(connection, reads).first for _ in range(2)] == [(7,), (7,)]


@pytest.mark.parametrize("runs", range(3))
def test_a_connection_that_is_gone_is_cut(connection: Connection, database: str, runs: int) -> None:
    asked = Bound(b"SELECT $1::text AS word", ["x"])
    for _ in range(runs):
        execute(connection, asked)
    with connect(database, "an operator", 3) as other:
        assert execute(other, Bound(b"SELECT pg_terminate_backend($1, 5000)", [connection.info.backend_pid])).first
    with pytest.raises(psycopg.OperationalError) as told:
        execute(connection, asked)
    assert is_cut(told.value)
    with pytest.raises(psycopg.OperationalError) as told:
        execute(connection, asked)
    assert is_cut(told.value)


@pytest.mark.anyio
async def test_on_an_event_loop_its_rows_are_the_same(database: str) -> None:
    asked = Bound(b"SELECT $1::uuid AS id, $2::jsonb AS data", [ID, Jsonb({"a": ["späti"]})])
    connection = await connect_async(database, "a gateway", 3, Bounds(5.0))
    async with connection:
        for _ in range(3):
            answer = await execute_async(connection, asked)
            assert [row._asdict() for row in answer.rows] == [{"id": ID, "data": {"a": ["späti"]}}]
        with pytest.raises(errors.DivisionByZero):
            await execute_async(connection, Bound(b"SELECT 1 / $1::int", [0]))
        assert (await execute_async(connection, asked)).count == 1


@pytest.mark.anyio
@pytest.mark.parametrize("runs", range(3))
async def test_one_whose_task_is_cancelled_leaves_its_connection_to_the_next(database: str, runs: int) -> None:
    locked = Bound(b"SELECT pg_advisory_lock($1::int)", [7])
    connection = await connect_async(database, "a gateway", 3, Bounds(60.0))
    other = await connect_async(database, "another", 3, Bounds(60.0))
    async with connection, other:
        for _ in range(runs):
            await execute_async(connection, locked)
            await execute_async(connection, Bound(b"SELECT pg_advisory_unlock_all()", []))
        await execute_async(other, locked)
        waiting = asyncio.create_task(execute_async(connection, locked))
        while not (await execute_async(other, WAITS_FOR_A_LOCK)).count:
            pass
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await execute_async(other, Bound(b"SELECT pg_advisory_unlock_all()", []))
        assert (await execute_async(connection, locked)).count == 1
