"""PgBouncer between every process and Postgres, in each mode: no statement meets another client's, and bounds hold."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import literal, select, text

from gateway.storage.database import Store, open_pool
from ringback.postgres.connections import Bounds, connect, execute, is_pooled
from ringback.postgres.migrate import revision
from tests.forked import ended, popen
from tests.line import TOKEN, running_line
from tests.pooler import KINDS, needs_pgbouncer, pgbouncer
from tests.servers import own_database
from workers.storage.connection_pool import ConnectionPool
from workers.storage.database import Store as WorkersStore
from workers.storage.database import count, rows

pytestmark = [pytest.mark.anyio, needs_pgbouncer]
TIMES = 12
"""Often enough for psycopg to prepare a statement, which it does after five."""
CALLS = 12


@pytest.fixture(params=KINDS, ids=lambda kind: " ".join(kind))
def pooled(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[str]:
    with pgbouncer(database, tmp_path, *request.param) as url:
        yield url


async def test_many_gateways_statements_share_a_few_connections(pooled: str) -> None:
    async def one(number: int) -> None:
        store = Store(open_pool(pooled, 2))
        try:
            for each in range(TIMES):
                # Each client has statements of its own under the names that psycopg gives them.
                (row,) = await store.rows(select(literal(number), literal(f"{number}.{each % (number + 1)}")))
                assert row[0] == number
                (row,) = await store.rows_of("a tenant", text("SELECT current_setting('ringback.tenant')"))
                assert row[0] == "a tenant"
        finally:
            await store.close()

    await asyncio.gather(*map(one, range(8)))


def test_many_workers_statements_share_a_few_connections(pooled: str) -> None:
    def one(number: int) -> None:
        store = WorkersStore(pooled, 2)
        try:
            for _ in range(TIMES):
                assert rows(store.claims, select(literal(number)))[0][0] == number
                with store.outcomes.transaction() as connection:
                    assert execute(connection, select(literal(number))).rows == [(number,)]
        finally:
            store.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(8)))


def test_a_statement_is_bounded_and_leaves_nothing_to_the_next_client(pooled: str) -> None:
    bounds = Bounds(0.2, lazy=True)
    bounded = ConnectionPool(partial(connect, pooled, "test", 5, bounds), 1, bounds, 5)
    with bounded.connection() as connection:
        assert is_pooled(connection)
        assert connection.execute(b"SHOW synchronous_commit").fetchall() == [("off",)]
    with pytest.raises(psycopg.OperationalError, match="statement timeout"), bounded.connection() as connection:
        connection.execute(b"SELECT pg_sleep(60)")
    with closing(connect(pooled, "test", 5)) as unbounded:
        assert unbounded.execute(b"SHOW statement_timeout").fetchall() == [("0",)]
    bounded.close()


def test_a_statement_in_autocommit_is_committed(pooled: str) -> None:
    store = WorkersStore(pooled)
    assert count(store.outcomes, text("CREATE TABLE kept (one int)")) <= 0
    assert rows(store.claims, text("INSERT INTO kept VALUES (1) RETURNING one"))[0][0] == 1
    store.close()
    with closing(connect(pooled, "test", 5)) as connection:
        assert connection.execute(b"SELECT count(*) FROM kept").fetchall() == [(1,)]


def test_several_migrate_through_it_and_take_turns(database_url: str, tmp_path: Path) -> None:
    with own_database(database_url, "ringback_pooled") as empty, pgbouncer(empty, tmp_path, *KINDS[0]) as url:
        argv = [
            sys.executable,
            "-c",
            "import sys; from ringback.postgres.migrate import upgrade; upgrade(sys.argv[1])",
            url,
        ]
        several = [popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
        assert [ended(each) for each in several] == [("", 0)] * len(several)
        assert revision(url)


def test_a_url_may_say_that_there_is_a_pooler(database: str) -> None:
    separator = "&" if "?" in database else "?"
    for said, expected in (("pgbouncer=true", True), ("pgbouncer=false", False)):
        opened = partial(connect, f"{database}{separator}{said}", "test", 5, Bounds(1))
        pool = ConnectionPool(opened, 1, Bounds(1), 5)
        with pool.connection() as connection:
            assert is_pooled(connection) is expected
            assert connection.execute(b"SHOW statement_timeout").fetchall() == [("1s",)]
        pool.close()


@pytest.mark.long
async def test_calls_are_answered_and_no_process_complains(pooled: str, redis_db: str, tmp_path: Path) -> None:
    with running_line(pooled, redis_db, tmp_path) as line:
        await asyncio.gather(*(line.ask_for_the_weather() for _ in range(CALLS)))
        jobs = line.get("/v1/jobs", TOKEN)["data"]
        logs = {name: (line.logs / f"{name}.log").read_text() for name in ("gateway", "worker")}
    assert [job["state"] for job in jobs] == ["succeeded"] * CALLS
    for name, log in logs.items():
        for word in ("Error", "Traceback", "failed", "cannot be"):
            assert word not in log, f"{name}: {log}"
