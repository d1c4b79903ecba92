"""Connections to Postgres that are closed if it does not answer.

Postgres cancels a statement that takes too long, and the kernel ends a connection on which the other machine takes no
data. Neither helps if a proxy or a pooler took the statement and its answer never comes, or if the server process
stands still. Psycopg alone would wait for ever, and keep the thread and its place in the pool.
"""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq.abc import PGconn

from ringback.postgres.kept import KeptStatements

LOOK_SECONDS = 0.1
"""How often a wait without an answer is counted. A look that comes late, because this process stood still, counts as
one: the delay was not Postgres's.
"""
T = TypeVar("T")


class NoAnswer(psycopg.OperationalError):
    """Postgres did not answer in time; what was sent may have been committed."""


class Connection(psycopg.Connection[Any]):
    """Connection for threads."""

    answer_seconds = inf
    """How long an answer may take. Then the connection is closed, and `NoAnswer` raised."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self.kept = KeptStatements(self)

    def wait(self, gen: PQGen[T], interval: float = LOOK_SECONDS, *more: Any, **named: Any) -> T:
        """Do as psycopg does, within `answer_seconds`. Psycopg calls this for all that it waits for."""
        return super().wait(_answered(gen, self.pgconn, self.answer_seconds), LOOK_SECONDS, *more, **named)


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for an event loop."""

    answer_seconds = inf

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self.kept = KeptStatements(self)
        self.has_run: set[bytes] = set()
        """Texts of the kept statements that ran here: Postgres has parsed and planned them for this connection."""

    async def wait(self, gen: PQGen[T], interval: float = LOOK_SECONDS, *more: Any, **named: Any) -> T:
        """Do as `Connection.wait`."""
        return await super().wait(_answered(gen, self.pgconn, self.answer_seconds), LOOK_SECONDS, *more, **named)


def _answered(gen: PQGen[T], connection: PGconn, seconds: float) -> Generator[Any, Any, T]:
    """Pass on what psycopg's generator asks for. If nothing comes for so long, close the connection and raise."""
    waited = 0.0
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                waited = 0.0
                wanted = gen.send(ready)
            elif (waited := waited + LOOK_SECONDS) > seconds:
                connection.finish()
                raise NoAnswer(f"Postgres does not answer: nothing came for {seconds:g} s")
    except StopIteration as over:
        result: T = over.value
        return result
