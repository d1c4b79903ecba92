"""Connections of the worker to Postgres: three small pools, one for each kind of promise.

A statement is a transaction of its own (autocommit): it is one conditional UPDATE, and BEGIN and COMMIT would be two
more round trips. The exceptions say so (`transaction`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ringback.postgres.connections import ENCODING, Bounds, connect, open_engine, refuse_encoding

CONNECT_SECONDS = 3
"""A connection that takes longer has failed; another one is tried."""
STATEMENT_SECONDS = 5.0
"""Every statement touches a few rows by key: if it takes longer, it waits for a lock, and is better tried again."""
LEASE_STATEMENT_SECONDS = 1.0
"""A renewal that takes longer has missed its turn."""
IDLE_SECONDS = 2.0
"""How long a process that stood still in the midst of a transaction may hold a tool's gate."""
POOL_WAIT_SECONDS = 5.0
"""How long a thread waits for a free connection before it gives up, and the sweeper has its job published again."""

logger = logging.getLogger(__name__)


class Store:
    """Connections of one process: made on first use, never shared across a fork.

    Args:
        url: `postgresql+psycopg://…`.
        connections: for claims, and as many for outcomes.
    """

    def __init__(self, url: str, connections: int = 1) -> None:
        # A claim's token is random: a claim that a crash of Postgres forgets can never be mistaken for another.
        self.claims = _engine(url, connections, lazy=True)
        self.outcomes = _engine(url, connections)
        # To register and to sign off with; in between, `connect_lease` has a connection of its own.
        self.lease = _engine(url, 1, lazy=True, statement_seconds=LEASE_STATEMENT_SECONDS)
        self._url = url

    def connect_lease(self) -> psycopg.Connection[Any]:
        """Connect anew, for the renewals alone: they must not queue behind a hundred claims."""
        bounds, silent = Bounds(LEASE_STATEMENT_SECONDS, lazy=True), int(LEASE_STATEMENT_SECONDS * 1000)
        return connect(self._url, "ringback-worker", CONNECT_SECONDS, bounds, tcp_user_timeout=silent)

    def close(self) -> None:
        """Close the connections."""
        for engine in (self.claims, self.outcomes, self.lease):
            engine.dispose()


def refuse_encoding_of(database_url: str) -> None:
    """Raise ConfigurationError if Postgres cannot keep every character. If it does not answer, do not wait for it."""
    engine = open_engine(database_url, "ringback-worker", CONNECT_SECONDS, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            refuse_encoding(connection.execute(ENCODING).scalar_one())
    except DBAPIError as problem:
        logger.warning("Postgres does not answer yet: %s", problem.orig)


def rows(engine: Engine, statement: Executable) -> list[Any]:
    """Run the statement and commit; return its rows."""
    with engine.begin() as connection:
        return list(connection.execute(statement).all())


def first(engine: Engine, statement: Executable) -> Any | None:
    """Run a statement about one job and commit; return its row, or None if it matched none."""
    found = rows(engine, statement)
    return found[0] if found else None


def count(engine: Engine, statement: Executable) -> int:
    """Run the statement and commit; return how many rows it changed."""
    with engine.begin() as connection:
        return connection.execute(statement).rowcount


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Commit all statements of the context at its end, or none."""
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        yield connection


def together(engine: Engine, statements: Iterable[Executable]) -> None:
    """Run all statements in one transaction, or none of them."""
    with transaction(engine) as connection:
        for statement in statements:
            connection.execute(statement)


def _engine(url: str, connections: int, *, lazy: bool = False, statement_seconds: float = STATEMENT_SECONDS) -> Engine:
    return open_engine(
        url,
        "ringback-worker",
        CONNECT_SECONDS,
        Bounds(statement_seconds, idle_seconds=IDLE_SECONDS, lazy=lazy),
        # A Postgres that vanished without a word must not hold a thread for the two hours TCP would.
        more={"tcp_user_timeout": int(statement_seconds * 1000)},
        isolation_level="AUTOCOMMIT",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        # No ping before use: it costs a round trip each time, and a failed statement is tried again in any case.
        pool_pre_ping=False,
    )
