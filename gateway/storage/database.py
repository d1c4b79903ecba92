"""Connections to Postgres: each statement is one transaction and one round trip, bounded in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeAlias, TypeVar

import psycopg

from gateway.errors import GatewayError
from gateway.storage.connection_pool import ConnectionPool, NotBegun
from ringback.errors import ConfigurationError, first_line
from ringback.postgres.connections import (
    ENCODING,
    AsyncConnection,
    Bounds,
    connect,
    execute_async,
    execute_in_pipeline,
    is_cut,
    refuse_encoding,
)
from ringback.postgres.statement import Bound, Runnable, bound
from ringback.statements.identity import tenant_isolation

CONNECT_SECONDS = 2
"""A database that does not answer by then is away, and the conversation goes on without it."""
STATEMENT_SECONDS = 5.0
"""Each statement here takes about a millisecond; one that takes seconds waits for a fault."""
IDLE_SECONDS = 5.0
"""How long a gateway that stands still in the midst of a transaction may hold rows: other gateways wait for them."""
LEASE_STATEMENT_SECONDS = 1.0
"""A renewal that takes longer has missed its turn."""
POOL_WAIT_SECONDS = 5.0
"""How long a statement waits for a free connection, or for a new one, before it is refused."""

GIVE_WAY = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected (PostgreSQL, Appendix A)."""

NO_ROLE = (
    f"the user of DATABASE_URL may not take on the role {tenant_isolation.ROLE}, which keeps tenants apart: run "
    f"`ringback migrate` as that user, or have an administrator run `GRANT {tenant_isolation.ROLE} TO` it"
)
NO_TABLES = "the database in DATABASE_URL has no tables of ringback's yet: run `ringback migrate`"
NOT_THE_OWNER = (
    "the user of DATABASE_URL does not own the tables, so that row-level security hides them from it: connect as the "
    "user who ran `ringback migrate`, or have an administrator run `ALTER ROLE` … `BYPASSRLS` for it"
)

log = logging.getLogger(__name__)
T = TypeVar("T")
Take: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""Takes a connection of the pool, and gives it back."""

AT_START_SECONDS = 1.0
"""Between two attempts to reach Postgres before anything is open."""


class NotSent(TimeoutError, GatewayError):
    """Postgres could not be reached: the statement was not sent, so it cannot have had an effect."""


def may_be_written(problem: Exception) -> bool:
    """Return True if a statement that failed so may have been committed: its answer was lost."""
    if isinstance(problem, NotSent):
        return False
    # If Postgres itself refuses, it has not written.
    return is_cut(problem) if isinstance(problem, psycopg.Error) else True


def open_pool(database_url: str, size: int) -> ConnectionPool:
    """Return a pool of the gateway's connections; none is open yet."""
    return ConnectionPool(
        database_url,
        "ringback-gateway",
        size,
        Bounds(STATEMENT_SECONDS, IDLE_SECONDS),
        connect_seconds=CONNECT_SECONDS,
        wait_seconds=POOL_WAIT_SECONDS,
    )


def lease_connector(database_url: str) -> Callable[[], psycopg.Connection[Any]]:
    """Return the function that connects the thread which renews the lease; it does not use the pool."""
    bounds, silent = Bounds(LEASE_STATEMENT_SECONDS, lazy=True), int(LEASE_STATEMENT_SECONDS * 1000)
    return partial(connect, database_url, "ringback-lease", CONNECT_SECONDS, bounds, tcp_user_timeout=silent)


class Store:
    """Runner of the statements of `ringback.statements`, each in a separate transaction.

    It does not test connections in advance, which would cost a round trip each time. If a connection has died, it runs
    the statement again on a new one. Each statement is conditional, so a second run changes no more rows.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def rows(self, statement: Runnable) -> list[Any]:
        """Run a statement and return its rows."""
        ready = bound(statement)

        async def run(connection: AsyncConnection) -> list[Any]:
            return (await execute_async(connection, ready)).rows

        return await self._once_more_if_cut(run, partial(self._pool.connection, ready))

    async def rows_of(self, tenant: str, statement: Runnable) -> list[Any]:
        """Run a statement that reads, behind the second wall: Postgres hides the rows of every other tenant."""
        wall, ready = bound(tenant_isolation.restrict_to(tenant)), bound(statement)

        async def run(connection: AsyncConnection) -> psycopg.AsyncCursor[Any]:
            await execute_in_pipeline(connection, wall)
            return await execute_in_pipeline(connection, ready)

        return await (await self._once_more_if_cut(run, self._pool.transaction_at_once)).fetchall()

    async def count(self, statement: Runnable) -> int:
        """Run a statement and return how many rows it changed."""
        ready = bound(statement)

        async def run(connection: AsyncConnection) -> int:
            return (await execute_async(connection, ready)).count

        return await self._once_more_if_cut(run, partial(self._pool.connection, ready))

    async def together(self, first: Runnable, *others: Runnable) -> list[list[Any]]:
        """Run statements in one transaction, in order, and return the rows of each.

        If the first returns no rows, the others are not run, and the list holds that one empty result.
        """
        ready, following = bound(first), [bound(each) for each in others]

        async def run(connection: AsyncConnection) -> list[list[Any]]:
            moved = (await execute_async(connection, ready)).rows
            rest = following if moved else ()
            return [moved, *[(await execute_async(connection, each)).rows for each in rest]]

        return await self._once_more_if_cut(run, self._pool.transaction)

    async def prove_wall(self) -> None:
        """Raise ConfigurationError if tenants could not be kept apart here, or the gateway could not read its rows."""
        (encoding,) = await self.rows(Bound(ENCODING, []))
        refuse_encoding(encoding[0])
        try:
            await self.rows_of("", Bound(b"SELECT 1", []))
        except (psycopg.ProgrammingError, psycopg.DataError):
            raise ConfigurationError(NO_ROLE) from None
        try:
            (walled_in,) = await self.rows(tenant_isolation.is_restricted())
        except psycopg.ProgrammingError:
            raise ConfigurationError(NO_TABLES) from None
        if walled_in[0]:
            raise ConfigurationError(NOT_THE_OWNER)

    async def close(self) -> None:
        await self._pool.close()

    async def _once_more_if_cut(self, run: Callable[[AsyncConnection], Awaitable[T]], take: Take) -> T:
        try:
            return await _once(run, take)
        except NotSent as problem:
            if not isinstance(problem.__cause__, NotBegun):
                raise  # there is no connection, and a second attempt would be as late again
            first: Exception = problem
        except psycopg.Error as problem:
            if not (is_cut(problem) or problem.sqlstate in GIVE_WAY):
                raise
            first = problem
        try:
            return await _once(run, take)
        except NotSent:
            raise first from None  # only the first attempt was sent, so its failure is what is known


async def _once(run: Callable[[AsyncConnection], Awaitable[T]], take: Take) -> T:
    is_sent = False
    try:
        async with take() as connection:
            is_sent = True
            return await run(connection)
    except (psycopg.Error, OSError) as problem:
        if is_sent:
            raise
        raise NotSent(f"Postgres is not reached ({type(problem).__name__})") from problem


async def prove_wall(database_url: str) -> None:
    """Wait until Postgres answers, then do as `Store.prove_wall`."""
    store = Store(open_pool(database_url, 1))
    try:
        while True:
            try:
                return await store.prove_wall()
            except (psycopg.OperationalError, OSError) as problem:
                cause = problem.__cause__ or problem
                reason = first_line(cause) or type(cause).__name__
                log.warning("Postgres is not reached: %s; trying again in %g s", reason, AT_START_SECONDS)
            await asyncio.sleep(AT_START_SECONDS)
    finally:
        await store.close()
