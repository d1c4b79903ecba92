"""A connection whose answers never come is closed in time, and the next statement has another."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import psycopg
import pytest

from gateway.storage import database as gateway_database
from gateway.storage.connection_pool import ConnectionPool as GatewayPool
from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.leases.renewal import LeaseConnection
from ringback.postgres.answers import NoAnswer
from ringback.postgres.connections import Bounds, connect, is_cut
from ringback.postgres.statement import Bound
from tests.proxy import Proxy, before_postgres
from tests.servers import in_dialect
from workers.storage.connection_pool import ConnectionPool
from workers.storage.database import first

BOUNDS = Bounds(statement_seconds=0.5)
CONNECT_SECONDS = 20
ONE = Bound(b"SELECT 1", [])


@pytest.fixture
def way(database: str) -> Iterator[tuple[Proxy, str]]:
    with before_postgres(postgres_url(database)) as way:
        yield way


def worker_pool(url: str) -> ConnectionPool:
    return ConnectionPool(partial(connect, url, "test", CONNECT_SECONDS, BOUNDS), 1, BOUNDS, CONNECT_SECONDS)


def test_a_worker_waits_for_no_answer_on_a_line_that_both_ends_hold_open(way: tuple[Proxy, str]) -> None:
    proxy, url = way
    pool = worker_pool(url)
    assert first(pool, ONE) == (1,)
    proxy.strand()
    with pytest.raises(NoAnswer) as caught:
        first(pool, ONE)
    assert is_cut(caught.value), "it may have been committed"
    assert first(pool, ONE) == (1,), "the pool's only place is free, and its next connection is another"
    pool.close()


def test_a_transaction_without_an_answer_keeps_no_place_either(way: tuple[Proxy, str]) -> None:
    proxy, url = way
    pool = worker_pool(url)

    def stranded() -> None:
        with pool.transaction() as connection:
            proxy.strand()
            connection.execute("SELECT 1")

    with pytest.raises(NoAnswer):
        stranded()
    assert first(pool, ONE) == (1,)
    pool.close()


def test_a_statement_that_postgres_cancels_in_time_is_no_missing_answer(database: str) -> None:
    pool = worker_pool(postgres_url(database))
    with pytest.raises(psycopg.errors.QueryCanceled):
        first(pool, Bound(b"SELECT pg_sleep(60)", []))
    pool.close()


def test_an_answer_that_comes_piece_by_piece_is_waited_for(way: tuple[Proxy, str]) -> None:
    proxy, url = way
    with connect(url, "test", CONNECT_SECONDS, BOUNDS) as connection:
        proxy.latency = BOUNDS.answer_seconds / 5
        assert len(connection.execute("SELECT repeat('x', 400000)").fetchall()[0][0]) == 400_000


def test_a_connection_without_bounds_waits_as_long_as_it_takes(database: str) -> None:
    with connect(postgres_url(database), "test", 1) as connection:
        assert connection.execute("SELECT pg_sleep(1.5), 1").fetchall()[0][1] == 1


def test_a_gateway_runs_a_statement_again_whose_answer_does_not_come(way: tuple[Proxy, str]) -> None:
    proxy, url = way

    async def scene() -> None:
        pool = GatewayPool(url, "test", 1, BOUNDS, connect_seconds=CONNECT_SECONDS, wait_seconds=CONNECT_SECONDS)
        store = Store(pool)
        assert await store.rows(ONE) == [(1,)]
        proxy.strand()
        assert await store.rows(ONE) == [(1,)]
        proxy.strand()
        assert await store.together(ONE, ONE) == [[(1,)], [(1,)]]
        proxy.strand()
        with pytest.raises(NoAnswer):
            async with pool.transaction_at_once() as connection:
                await connection.execute("SELECT 1")
        assert pool.in_use == 0
        await store.close()

    asyncio.run(scene())


@pytest.mark.parametrize("fault", ["cut", "reset", "strand"])
def test_a_gateway_runs_any_statement_again_whose_connections_broke_while_idle(
    way: tuple[Proxy, str], fault: str
) -> None:
    proxy, url = way

    async def scene() -> None:
        pool = GatewayPool(url, "test", 3, BOUNDS, connect_seconds=CONNECT_SECONDS, wait_seconds=CONNECT_SECONDS)
        store = Store(pool)
        asks = (partial(store.rows, ONE), partial(store.rows_of, "t", ONE), partial(store.together, ONE))
        for ask in asks:
            await asyncio.gather(*(other() for other in asks))
            getattr(proxy, fault)()
            assert await ask() in ([(1,)], [[(1,)]])
        await store.close()

    asyncio.run(scene())


@pytest.mark.parametrize("fault", ["cut", "reset", "strand"])
def test_a_lease_whose_line_has_broken_is_renewed_on_another_at_once(way: tuple[Proxy, str], fault: str) -> None:
    proxy, url = way
    lease = LeaseConnection(partial(connect, url, "test", CONNECT_SECONDS, BOUNDS))
    assert lease.ask(ONE) == ["1"]
    getattr(proxy, fault)()
    assert lease.ask(ONE) == ["1"]
    lease.close()


def test_a_lease_is_renewed_beside_thousands_of_connections(database: str) -> None:
    """A gateway of a thousand sessions has as many numbers of open files; `select` takes none above 1,023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lease = LeaseConnection(partial(connect, postgres_url(database), "test", CONNECT_SECONDS, BOUNDS))
    with ExitStack() as many:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_048), hard))
        many.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        many.callback(lease.close)
        for _ in range(1_100):
            many.callback(os.close, os.dup(0))
        assert lease.ask(ONE) == ["1"]


def test_a_gateway_that_stands_still_in_a_transaction_holds_no_row_for_long(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_database, "IDLE_SECONDS", 0.2)

    async def stand_still() -> None:
        pool = open_pool(postgres_url(database), 1)
        async with pool.transaction() as connection:
            await connection.execute("CREATE TABLE held ()")
            with psycopg.connect(in_dialect(database, "postgresql"), autocommit=True) as other:
                other.execute("CREATE TABLE held ()")  # waits for the transaction to be over
            await connection.execute("SELECT 1")

    with pytest.raises(psycopg.Error) as caught:
        asyncio.run(stand_still())
    assert is_cut(caught.value)
