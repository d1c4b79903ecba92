"""Pool of connections to Postgres, for the gateway's event loop.

A statement takes a free connection that has run it before: there Postgres has parsed and planned it. Among these, and
where none has, the connection that was used last is the first to be used again: so few connections carry most
statements. A statement that needs a new connection opens it in its own task: if Postgres is away, it hears so at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from gateway.storage.answered_within import AnsweredWithin
from ringback.postgres.connections import (
    COMMIT,
    ROLLBACK,
    AsyncConnection,
    Bounds,
    NoFreeConnection,
    begin,
    connect_async,
    is_cut,
    is_pooled,
)
from ringback.postgres.statement import Bound
from ringback.telemetry import metrics

FAILURES_AT_MOST, AWAY_SECONDS = 10, 0.1
"""Attempts to open a connection that may fail in so many seconds. After that a statement that needs one hears at once
that Postgres is away: thousands of calls may try again and again, and each attempt takes 0.4 ms of the event loop."""


class NotBegun(psycopg.OperationalError):
    """The connection had broken since its last use: the transaction did not begin."""


class StillAway(psycopg.OperationalError):
    """Other tasks could not connect a moment ago: no attempt was made."""


class ConnectionPool:
    """Connections that tasks take in turns, opened when they are needed.

    Args:
        name: `application_name`.
        size: most connections at once.
        wait_seconds: how long a task waits for a free one, or for a new one.
    """

    def __init__(
        self, database_url: str, name: str, size: int, bounds: Bounds, *, connect_seconds: int, wait_seconds: float
    ) -> None:
        self._database_url = database_url
        self._name = name
        self._bounds = bounds
        self._connect_seconds = connect_seconds
        self._wait_seconds = wait_seconds
        self._places = asyncio.Semaphore(size)
        self._idle: list[AsyncConnection] = []
        self._failures, self._counts_until = 0, -math.inf
        """Attempts that have failed of late, and when they count no more, by the monotonic clock."""
        self.in_use = 0

    def connection(self, statement: Bound | None = None) -> AbstractAsyncContextManager[AsyncConnection]:
        """Take a connection that no other task uses. Behind a pooler, it is in a transaction with its bounds.

        Args:
            statement: what it is taken for.

        Raises:
            psycopg.Error, OSError: there is none.
        """
        return Taken(self, statement)

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Take a connection, and commit all statements of the context at its end, or none."""
        return Taken(self, commits=True)

    @asynccontextmanager
    async def transaction_at_once(self) -> AsyncIterator[AsyncConnection]:
        """Do as `transaction`, but send all statements together: they take one round trip instead of one each.

        Read their rows behind the context. Behind a pooler it is a `transaction`, whose BEGIN is no single statement.
        """
        async with Taken(self) as connection:
            if is_pooled(connection):
                yield connection
                return
            refused: psycopg.Error | None = None
            has_begun = False
            try:
                async with connection.pipeline():
                    try:
                        await connection.execute(begin(connection), prepare=False)
                        has_begun = True
                        yield connection
                        await connection.execute(COMMIT, prepare=False)
                    except psycopg.Error as problem:  # a pipeline that it left would log what else was not run
                        refused = problem
            except psycopg.Error as problem:
                refused = refused or problem
            if refused is not None:
                if connection.pgconn.transaction_status == TransactionStatus.INERROR:
                    await connection.execute(ROLLBACK, prepare=False)
                if not has_begun and is_cut(refused):
                    raise NotBegun(str(refused)) from refused
                raise refused

    async def close(self) -> None:
        """Close the idle connections. The pool may be used again."""
        while self._idle:
            await self._idle.pop().close()

    async def take(self, statement: Bound | None = None) -> AsyncConnection:
        """Return a connection that no other task uses until it is given back."""
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()
        self.in_use += 1
        try:
            connection = self._choose(statement) if self._idle else await self._open()
        except BaseException:
            self._leave_place()
            raise
        if statement is not None and statement.is_kept:
            connection.has_run.add(statement.text)
        return connection

    async def give_back(self, connection: AsyncConnection) -> None:
        """Have other tasks use a connection that `take` has returned. One that is amid a statement is closed."""
        try:
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                self._idle.append(connection)
                return
            if connection.closed:
                await self.close()  # whatever ended it has ended the others
            await connection.close()
        finally:
            self._leave_place()

    def _choose(self, statement: Bound | None) -> AsyncConnection:
        """Return the idle connection that was used last, of those that have run the statement if there are any."""
        if statement is not None:
            for place in range(len(self._idle) - 1, -1, -1):
                if statement.text in self._idle[place].has_run:
                    return self._idle.pop(place)
        return self._idle.pop()

    def _leave_place(self) -> None:
        self.in_use -= 1
        self._places.release()

    async def _wait_for_place(self) -> None:
        try:
            async with AnsweredWithin(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            metrics.POOL_EXHAUSTED.inc("gateway")
            raise NoFreeConnection(f"no connection became free within {self._wait_seconds:g} s") from None

    @asynccontextmanager
    async def committed(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Commit all statements of the context at its end, or none."""
        try:
            await connection.execute(begin(connection, self._bounds), prepare=False)
        except psycopg.Error as problem:
            if is_cut(problem):
                raise NotBegun(str(problem)) from problem
            raise
        try:
            yield
        except psycopg.Error:
            if not connection.closed:
                await connection.execute(ROLLBACK, prepare=False)
            raise
        await connection.execute(COMMIT, prepare=False)

    async def _open(self) -> AsyncConnection:
        if monotonic() > self._counts_until:
            self._failures, self._counts_until = 0, monotonic() + AWAY_SECONDS
        if self._failures >= FAILURES_AT_MOST:
            raise StillAway("Postgres was not reached a moment ago")
        try:
            async with AnsweredWithin(self._wait_seconds):  # psycopg bounds each address, and not the look-up of a name
                return await connect_async(self._database_url, self._name, self._connect_seconds, self._bounds)
        except (psycopg.Error, OSError):
            self._failures += 1
            raise


class Taken:
    """Connection of a pool while the context lasts; behind a pooler, in a transaction with its bounds.

    It is a class, as each statement takes one: of an async generator the event loop would keep account.

    Args:
        statement: what it is taken for.
        commits: it is in a transaction in any case.
    """

    __slots__ = ("_commits", "_connection", "_pool", "_statement", "_transaction")

    def __init__(self, pool: ConnectionPool, statement: Bound | None = None, *, commits: bool = False) -> None:
        self._pool = pool
        self._statement = statement
        self._commits = commits
        self._transaction: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> AsyncConnection:
        connection = self._connection = await self._pool.take(self._statement)
        if self._commits or is_pooled(connection):
            self._transaction = self._pool.committed(connection)
            try:
                await self._transaction.__aenter__()
            except BaseException:
                await self._pool.give_back(connection)
                raise
        return connection

    async def __aexit__(self, *problem: Any) -> None:
        try:
            if self._transaction is not None:
                await self._transaction.__aexit__(*problem)
        finally:
            await self._pool.give_back(self._connection)
