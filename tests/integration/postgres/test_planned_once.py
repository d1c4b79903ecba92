"""A statement that is built once is planned once on a connection; what is asked anew is planned for its values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Select, func, literal, select

from gateway.storage.database import Store, open_pool
from ringback.postgres.connections import Bounds, Connection, connect, execute
from ringback.postgres.statement import Bound, bound, joined, statement
from ringback.statements.jobs import deliveries
from ringback.statements.sessions import lifecycle
from tests.servers import in_dialect

pytestmark = pytest.mark.anyio

TIMES = 8
"""Postgres plans a statement five times before it may keep a plan."""
PLANS = Bound(
    b"SELECT sum(generic_plans)::int AS generic, sum(custom_plans)::int AS custom "
    b"FROM pg_prepared_statements WHERE statement LIKE '%sessions%'",
    [],
)

END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@statement
def how_it_is_planned(number: int) -> Select[tuple[str, int]]:
    return select(func.current_setting("plan_cache_mode").label("mode"), literal(0) + number)


def asked_anew(number: int) -> Select[tuple[str, int]]:
    return select(func.current_setting("plan_cache_mode").label("mode"), literal(number))


def fails_for(number: int) -> Select[tuple[int]]:
    return select(1 / (literal(number) - literal(number)))


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    store = Store(open_pool(database, 1))
    yield store
    await store.close()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "a worker", 3, Bounds(5.0)) as connection:
        yield connection


@pytest.mark.parametrize("of_how_many", [1, 3])
async def test_what_comes_again_is_planned_once_however_many_rows_it_is_for(store: Store, of_how_many: int) -> None:
    """Postgres takes three for fewer rows than it expects of any list, and would plan them each time."""
    for _ in range(TIMES):
        ids = [uuid4() for _ in range(of_how_many)]
        await store.rows(deliveries.read_all_ready([deliveries.read_ready(each, "gw", 1) for each in ids]))
        await store.rows(joined([deliveries.mark(each, "gw", 1, [each]) for each in ids]))
    (found,) = await store.rows(PLANS)
    assert found == (2 * (TIMES - 1), 0)  # the first run of each is not prepared


async def test_a_statement_takes_a_connection_that_has_run_it(database: str) -> None:
    """Each other one would parse and plan it anew."""
    pool = open_pool(database, 2)
    known, other, unknown = how_it_is_planned(1), lifecycle.owners([]), lifecycle.held_sessions("gw")
    search = bound(asked_anew(1))
    async with pool.connection(known) as first, pool.connection(other) as second:
        assert first is not second
    async with pool.connection(unknown) as found:
        assert found is first, "it was given back last"
    async with pool.connection(other) as found:
        assert found is second
    for again in (known, unknown, known):
        async with pool.connection(again) as found:
            assert found is first
    async with pool.connection(search) as found:
        assert found is first
        async with pool.connection(known) as found:
            assert found is second, "what is free is taken all the same"
    assert search.text not in first.has_run, "what is built when it is asked comes once"
    await pool.close()


def test_so_is_a_workers_statement(connection: Connection) -> None:
    for _ in range(TIMES):
        execute(connection, lifecycle.owners([UUID(int=0)]))
    assert execute(connection, PLANS).rows == [(TIMES - 1, 0)]


async def test_a_search_is_planned_for_what_it_asks(store: Store) -> None:
    anew, once = asked_anew(1), how_it_is_planned(1)
    assert [row.mode for row in await store.rows(anew)] == ["force_custom_plan"]
    assert [row.mode for row in await store.rows_of("a tenant", anew)] == ["force_custom_plan"]
    assert [row.mode for (row,) in await store.together(once, anew)] == ["force_generic_plan", "force_custom_plan"]
    assert [row.mode for row in await store.rows(once)] == ["force_generic_plan"]


async def test_a_search_that_fails_leaves_the_connection_as_it_was(store: Store) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await store.rows(fails_for(1))
    with pytest.raises(psycopg.errors.DivisionByZero):
        await store.rows_of("a tenant", fails_for(1))
    assert [row.mode for row in await store.rows(how_it_is_planned(1))] == ["force_generic_plan"]


def test_so_it_is_for_threads(connection: Connection) -> None:
    assert execute(connection, asked_anew(1)).first == ("force_custom_plan", 1)
    with pytest.raises(psycopg.errors.DivisionByZero):
        execute(connection, fails_for(1))
    assert execute(connection, how_it_is_planned(1)).first == ("force_generic_plan", 1)


def test_a_connection_of_the_command_line_plans_as_postgres_would(database: str) -> None:
    with psycopg.connect(in_dialect(database, "postgresql")) as plain, connect(database, "a command", 3) as command:
        (usual,) = plain.execute("SELECT current_setting('plan_cache_mode')").fetchall()
        assert execute(command, how_it_is_planned(1)).first == (*usual, 1)


async def test_a_search_runs_again_whose_connection_had_broken(store: Store, database: str) -> None:
    await store.rows(asked_anew(1))
    with psycopg.connect(in_dialect(database, "postgresql"), autocommit=True) as other:
        assert (True,) in other.execute(END_OTHERS).fetchall()
    assert [row.mode for row in await store.rows(asked_anew(2))] == ["force_custom_plan"]
