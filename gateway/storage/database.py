"""Connections to Postgres: each statement is one transaction and one round trip, bounded in time."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Executable, Row, select
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import GatewayError
from ringback.errors import ConfigurationError, first_line
from ringback.postgres.connections import ENCODING, Bounds, connect, open_async_engine, refuse_encoding
from ringback.statements.identity import tenant_isolation

CONNECT_SECONDS = 2
"""A database that does not answer by then is away, and the conversation goes on without it."""
STATEMENT_SECONDS = 5.0
"""Each statement here takes about a millisecond; one that takes seconds waits for a fault."""
ANSWER_SECONDS = 6.0
"""A server that stands still cannot even say that it is late, so the gateway's clock ends the wait."""
LEASE_STATEMENT_SECONDS = 1.0
"""A renewal that takes longer has missed its turn."""
STEP_SECONDS = 0.5
"""In what that clock counts: a step that takes longer, because this process stood still, counts as one."""
POOL_WAIT_SECONDS = 5.0
"""How long a statement waits for a free connection before it is refused."""

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


AT_START_SECONDS = 1.0
"""Between two attempts to reach Postgres before anything is open."""


class NotSent(TimeoutError, GatewayError):
    """Postgres could not be reached: the statement was not sent, so it cannot have had an effect."""


def may_be_written(problem: Exception) -> bool:
    """Return True if a statement that failed so may have been committed: its answer was lost."""
    if isinstance(problem, NotSent):
        return False
    # If Postgres itself refuses, it has not written.
    return problem.connection_invalidated if isinstance(problem, DBAPIError) else True


def open_engine(database_url: str, pool_size: int) -> AsyncEngine:
    """Return an engine on psycopg 3, in autocommit: BEGIN and COMMIT would add two round trips to each statement."""
    return open_async_engine(
        database_url,
        "ringback-gateway",
        CONNECT_SECONDS,
        Bounds(STATEMENT_SECONDS),
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
    )


def lease_connector(database_url: str) -> Callable[[], psycopg.Connection[Any]]:
    """Return the function that connects the thread which renews the lease; it does not use the pool."""
    bounds, silent = Bounds(LEASE_STATEMENT_SECONDS, lazy=True), int(LEASE_STATEMENT_SECONDS * 1000)
    return partial(connect, database_url, "ringback-lease", CONNECT_SECONDS, bounds, tcp_user_timeout=silent)


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError after so many seconds in which the event loop turned.

    A loop that was held up finds its time-out and the answer at the same moment: the delay was not Postgres's.
    """
    loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
    async with asyncio.timeout(None) as limit:

        def step(left: int) -> None:
            if left:
                timers[:] = [loop.call_later(STEP_SECONDS, step, left - 1)]
            else:
                limit.reschedule(loop.time())

        step(math.ceil(seconds / STEP_SECONDS))
        try:
            yield
        finally:
            timers[0].cancel()


class Store:
    """Runner of the statements of `ringback.statements`, each in a separate transaction.

    It does not test connections in advance, which would cost a round trip each time. If a connection has died, it runs
    the statement again on a new one. Each statement is conditional, so a second run changes no more rows.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a statement and return its rows."""

        async def run(connection: AsyncConnection) -> Sequence[Row[Any]]:
            async with connection.begin():
                return (await connection.execute(statement)).all()

        return await self._once_more_if_cut(run)

    async def rows_of(self, tenant: str, statement: Executable) -> Sequence[Row[Any]]:
        """Run a statement that reads, behind the second wall: Postgres hides the rows of every other tenant."""

        async def run(connection: AsyncConnection) -> Sequence[Row[Any]]:
            connection = await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                await connection.execute(tenant_isolation.restrict_to(tenant))
                return (await connection.execute(statement)).all()

        return await self._once_more_if_cut(run)

    async def count(self, statement: Executable) -> int:
        """Run a statement and return how many rows it changed."""

        async def run(connection: AsyncConnection) -> int:
            async with connection.begin():
                return (await connection.execute(statement)).rowcount

        return await self._once_more_if_cut(run)

    async def together(self, first: Executable, *others: Executable) -> list[Sequence[Row[Any]]]:
        """Run statements in one transaction, in order, and return the rows of each.

        If the first returns no rows, the others are not run, and the list holds that one empty result.
        """

        async def run(connection: AsyncConnection) -> list[Sequence[Row[Any]]]:
            connection = await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                moved = (await connection.execute(first)).all()
                following = others if moved else ()
                return [moved, *[(await connection.execute(statement)).all() for statement in following]]

        return await self._once_more_if_cut(run)

    async def prove_wall(self) -> None:
        """Raise ConfigurationError if tenants could not be kept apart here, or the gateway could not read its rows."""
        (encoding,) = await self.rows(ENCODING)
        refuse_encoding(encoding[0])
        try:
            await self.rows_of("", select(1))
        except (ProgrammingError, DataError):
            raise ConfigurationError(NO_ROLE) from None
        try:
            (walled_in,) = await self.rows(tenant_isolation.is_restricted())
        except ProgrammingError:
            raise ConfigurationError(NO_TABLES) from None
        if walled_in[0]:
            raise ConfigurationError(NOT_THE_OWNER)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _once_more_if_cut(self, run: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            return await self._once(run)
        except DBAPIError as problem:
            if not (problem.connection_invalidated or _was_in_the_way(problem)):
                raise
            first = problem
        try:
            return await self._once(run)
        except NotSent:
            raise first from None  # only the first attempt was sent, so its failure is what is known

    async def _once(self, run: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        is_sent = False
        try:
            async with answered_within(ANSWER_SECONDS), self._engine.connect() as connection:
                is_sent = True
                return await run(connection)
        except (SQLAlchemyError, OSError) as problem:
            if is_sent:
                raise
            raise NotSent(f"Postgres is not reached ({type(problem).__name__})") from problem


async def prove_wall(database_url: str) -> None:
    """Wait until Postgres answers, then do as `Store.prove_wall`."""
    store = Store(open_engine(database_url, 1))
    try:
        while True:
            try:
                return await store.prove_wall()
            except (OperationalError, OSError) as problem:
                cause = problem.__cause__ or problem
                reason = first_line(cause) or type(cause).__name__
                log.warning("Postgres is not reached: %s; trying again in %g s", reason, AT_START_SECONDS)
            await asyncio.sleep(AT_START_SECONDS)
    finally:
        await store.close()


def _was_in_the_way(problem: DBAPIError) -> bool:
    """Return True if Postgres ended the statement in favour of another one: it may be run again."""
    return getattr(problem.orig, "sqlstate", None) in GIVE_WAY
