"""Real servers for tests: where they come from, and how one test gets a database of its own in milliseconds."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
from psycopg import sql
from sqlalchemy import Connection, CursorResult, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from ringback.postgres.statement import Bound, Runnable, bound

POSTGRES_IMAGE = os.environ.get("RINGBACK_TEST_POSTGRES_IMAGE", "postgres:17")
REDIS_IMAGE = os.environ.get("RINGBACK_TEST_REDIS_IMAGE", "redis:7")
LOGICAL_DATABASES = 16  # what Redis and Valkey have unless configured; 0 is left to the person who owns the server
OUR_USERS: dict[str, str] = {}
"""Of a Redis' keeper, whom the tests are, to the user whom our processes are there: the URL without its database."""


def as_ours(redis_url: str) -> str:
    """The same logical database, as our processes enter it; on a server of somebody else's it is their own user."""
    for keeper, ours in OUR_USERS.items():
        if urlsplit(keeper).netloc == urlsplit(redis_url).netloc:
            return urlsplit(redis_url)._replace(netloc=urlsplit(ours).netloc).geturl()
    return redis_url


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A folder that the embedded servers' account can enter, removed afterwards.

    As root they run as `nobody`, to whom each run of pytest closes `tmp_path` of all runs.
    """
    with tempfile.TemporaryDirectory(prefix="open-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@contextmanager
def postgres_container() -> Iterator[str]:
    """A `postgresql+psycopg://` URL of a fresh PostgreSQL in a container."""
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(POSTGRES_IMAGE, driver="psycopg") as container:
        yield container.get_connection_url()


@contextmanager
def redis_container() -> Iterator[str]:
    """A `redis://` URL of a fresh Redis in a container."""
    from testcontainers.community.redis import RedisContainer

    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@contextmanager
def own_database(server_url: str, prefix: str, template: str = "template1") -> Iterator[str]:
    """The URL of a new database on that server, copied from `template`, dropped afterwards whoever is connected.

    The template must have no connections while it is copied: PostgreSQL refuses otherwise.
    """
    name = f"{prefix}_{secrets.token_hex(6)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    _administer(server_url, create)
    try:
        yield in_dialect(server_url, database=name)
    finally:
        _administer(server_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def own_redis_db(server_url: str, number: int) -> Iterator[str]:
    """The URL of logical database `number` on that server, flushed before and after."""
    if not 0 < number < LOGICAL_DATABASES:
        raise ValueError(f"no logical database {number}: use less than {LOGICAL_DATABASES} test workers on one Redis")
    url = urlsplit(server_url)._replace(path=f"/{number}").geturl()
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        try:
            yield url
        finally:
            client.flushdb()


@cache
def engine_of(url: str, *, libpq: str = "", **options: Any) -> Engine:
    """An engine that one test after another may connect with: it has compiled its statements, and keeps no connection
    unless it is given a `poolclass`.

    That, and asking what server this is, takes half of the time of a test that runs ten statements. Its connections
    take parameters as the product's do (`$1`), so that `execute` runs the product's statements on them.
    """
    arguments = {"cursor_factory": psycopg.RawCursor, **({"options": libpq} if libpq else {})}
    raw = {"connect_args": arguments, "paramstyle": "numeric_dollar", "use_native_hstore": False}
    return create_engine(url, **{"poolclass": NullPool, **raw, **options})


def execute(connection: Connection, statement: Runnable) -> CursorResult[Any]:
    """Execute a statement of the product's, or one of SQLAlchemy, on a connection of `engine_of`."""
    ready = bound(statement)
    return connection.exec_driver_sql(ready.text.decode(), tuple(ready.parameters))


def explained(statement: Runnable, options: str = "") -> Bound:
    """The statement that asks Postgres for its plan of this one."""
    ready = bound(statement)
    return ready._replace(text=f"EXPLAIN {options} ".encode() + ready.text)


def in_dialect(url: str, driver: str = "postgresql+psycopg", database: str | None = None) -> str:
    """The same server for SQLAlchemy or, with driver "postgresql", for psycopg itself; another database of it."""
    parsed = make_url(url).set(drivername=driver)
    return (parsed.set(database=database) if database else parsed).render_as_string(hide_password=False)


@contextmanager
def frozen(postmaster: psutil.Process) -> Iterator[None]:
    """Every process of that Postgres stands still, each of which leads a session of its own.

    The postmaster first, so that no backend is born meanwhile. A backend whose client has just left may be gone.
    """
    postmaster.suspend()
    backends = postmaster.children(recursive=True)
    try:
        for backend in backends:
            with suppress(psutil.NoSuchProcess):
                backend.suspend()
        yield
    finally:
        for process in (*backends, postmaster):
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _administer(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(in_dialect(server_url, "postgresql"), autocommit=True) as connection:
        connection.execute(statement)
