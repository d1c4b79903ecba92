"""Pool of connections to Postgres, for the threads of a worker.

The connection that was used last is the first to be used again, as in `gateway.storage.connection_pool`. None is tested
before it is used, which would cost a round trip each time: a statement that fails is tried again in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Semaphore

import psycopg
from psycopg.pq import TransactionStatus

from ringback.postgres.connections import COMMIT, ROLLBACK, Bounds, Connection, NoFreeConnection, begin, is_pooled
from ringback.telemetry import metrics


class ConnectionPool:
    """Connections that threads take in turns, opened when they are needed.

    Args:
        connect: opens one, with these bounds.
        size: most connections at once.
        wait_seconds: how long a thread waits for a free one.
    """

    def __init__(self, connect: Callable[[], Connection], size: int, bounds: Bounds, wait_seconds: float) -> None:
        self._connect = connect
        self.size = size
        self._bounds = bounds
        self._wait_seconds = wait_seconds
        self._places = Semaphore(size)
        self._idle: list[Connection] = []
        self._marks: list[None] = []
        """One mark for each connection in use: a list changes atomically, a number does not."""

    @property
    def in_use(self) -> int:
        """Return how many connections are in use."""
        return len(self._marks)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection that no other thread uses. Behind a pooler, it is in a transaction with its bounds.

        Raises:
            psycopg.Error: there is none.
        """
        with self._taken() as connection:
            if is_pooled(connection):
                with self._committed(connection):
                    yield connection
            else:
                yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit all statements of the context at its end, or none."""
        with self._taken() as connection, self._committed(connection):
            yield connection

    def close(self) -> None:
        """Close the idle connections. The pool may be used again."""
        while (idle := self._newest_idle()) is not None:
            idle.close()

    @contextmanager
    def _taken(self) -> Iterator[Connection]:
        if not self._places.acquire(timeout=self._wait_seconds):
            metrics.POOL_EXHAUSTED.inc("worker")
            raise NoFreeConnection(f"no connection became free within {self._wait_seconds:g} s")
        self._marks.append(None)
        try:
            connection = self._newest_idle() or self._connect()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._marks.pop()
            self._places.release()

    def _newest_idle(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    @contextmanager
    def _committed(self, connection: Connection) -> Iterator[None]:
        connection.execute(begin(connection, self._bounds), prepare=False)
        try:
            yield
        except psycopg.Error:
            if not connection.closed:
                connection.execute(ROLLBACK, prepare=False)
            raise
        connection.execute(COMMIT, prepare=False)

    def _give_back(self, connection: Connection) -> None:
        if connection.closed:
            self.close()  # whatever ended it has ended the others
        elif connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
            return
        connection.close()  # an exception left it amid a transaction
