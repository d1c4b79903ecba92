"""Connections of the worker to Postgres: three small pools, one for each kind of promise.

A statement is a transaction of its own (autocommit): it is one conditional UPDATE, and BEGIN and COMMIT would be two
more round trips. The exceptions say so (`transaction`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from typing import Any

import psycopg

from ringback.errors import first_line
from ringback.postgres.connections import ENCODING, Bounds, connect, execute, refuse_encoding
from ringback.postgres.statement import Runnable
from workers.storage.connection_pool import ConnectionPool

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
        self.claims = _pool(url, connections, lazy=True)
        self.outcomes = _pool(url, connections)
        # To register and to sign off with; in between, `connect_lease` has a connection of its own.
        self.lease = _pool(url, 1, lazy=True, statement_seconds=LEASE_STATEMENT_SECONDS)
        self._url = url

    def connect_lease(self) -> psycopg.Connection[Any]:
        """Connect anew, for the renewals alone: they must not queue behind a hundred claims."""
        bounds, silent = Bounds(LEASE_STATEMENT_SECONDS, lazy=True), int(LEASE_STATEMENT_SECONDS * 1000)
        return connect(self._url, "ringback-worker", CONNECT_SECONDS, bounds, tcp_user_timeout=silent)

    def close(self) -> None:
        """Close the connections."""
        for pool in (self.claims, self.outcomes, self.lease):
            pool.close()


def refuse_encoding_of(database_url: str) -> None:
    """Raise ConfigurationError if Postgres cannot keep every character. If it does not answer, do not wait for it."""
    try:
        with closing(connect(database_url, "ringback-worker", CONNECT_SECONDS)) as connection:
            refuse_encoding(connection.execute(ENCODING, prepare=False).fetchall()[0][0])
    except psycopg.Error as problem:
        logger.warning("Postgres does not answer yet: %s", first_line(problem))


def rows(pool: ConnectionPool, statement: Runnable) -> list[Any]:
    """Run the statement and commit; return its rows."""
    with pool.connection() as connection:
        return execute(connection, statement).rows


def first(pool: ConnectionPool, statement: Runnable) -> Any | None:
    """Run a statement about one job and commit; return its row, or None if it matched none."""
    with pool.connection() as connection:
        return execute(connection, statement).first


def count(pool: ConnectionPool, statement: Runnable) -> int:
    """Run the statement and commit; return how many rows it changed."""
    with pool.connection() as connection:
        return execute(connection, statement).count


def together(pool: ConnectionPool, statements: Iterable[Runnable]) -> None:
    """Run all statements in one transaction, or none of them."""
    with pool.transaction() as connection:
        for statement in statements:
            execute(connection, statement)


def _pool(
    url: str, connections: int, *, lazy: bool = False, statement_seconds: float = STATEMENT_SECONDS
) -> ConnectionPool:
    bounds = Bounds(statement_seconds, idle_seconds=IDLE_SECONDS, lazy=lazy)
    # A Postgres that vanished without a word must not hold a thread for the two hours TCP would.
    silent = int(statement_seconds * 1000)
    opened = partial(connect, url, "ringback-worker", CONNECT_SECONDS, bounds, tcp_user_timeout=silent)
    return ConnectionPool(opened, connections, bounds, POOL_WAIT_SECONDS)
