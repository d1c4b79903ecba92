"""Two transactions at once, step by step: one waits for what the other has not committed, without timing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Row, select, text

from ringback.postgres.statement import Runnable
from ringback.tables import jobs
from tests.integration.statements.statement_rows import Rows, connected
from tests.servers import execute

PATIENCE = 20.0
"""Seconds until a test says that an expected event did not happen."""

Program = Callable[[Connection], Any]


class Other:
    """Second connection with a thread of its own: its statement may wait while the test goes on."""

    def __init__(self, connection: Connection, watch: Connection, thread: ThreadPoolExecutor) -> None:
        self._connection, self._watch, self._thread = connection, watch, thread
        self._pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.commit()

    def begins(self, *statements: Runnable) -> list[Sequence[Row[Any]]]:
        """Run these statements without a commit; return the rows of each."""
        return [self._rows(statement) for statement in statements]

    def commits(self) -> None:
        self._connection.commit()

    def rolls_back(self) -> None:
        self._connection.rollback()

    def waits(self, *statements: Runnable) -> Future[list[Sequence[Row[Any]]]]:
        """Begin these in the thread, and return once they wait for a lock. They commit when they get through."""
        running = self._thread.submit(self._through, statements)
        give_up = monotonic() + PATIENCE
        while not self._is_blocked():
            assert not running.done(), f"it waited for nobody: {running.result()}"
            assert monotonic() < give_up, "it waits for no lock, and does not end"
            Event().wait(0.002)
        return running

    def _through(self, statements: Sequence[Runnable]) -> list[Sequence[Row[Any]]]:
        rows = self.begins(*statements)
        self.commits()
        return rows

    def _rows(self, statement: Runnable) -> Sequence[Row[Any]]:
        result = execute(self._connection, statement)
        return result.all() if result.returns_rows else [()] * result.rowcount  # type: ignore[list-item]

    def _is_blocked(self) -> bool:
        asked = self._watch.execute(text("SELECT cardinality(pg_blocking_pids(:pid)) > 0"), {"pid": self._pid})
        blocked = bool(asked.scalar_one())
        self._watch.rollback()
        return blocked


@contextmanager
def another(database: str) -> Iterator[Other]:
    with connected(database) as connection, connected(database) as watch, ThreadPoolExecutor(1) as thread:
        yield Other(connection, watch, thread)


def held(job: object) -> Runnable:
    """Return a statement that locks that job's row until the transaction ends."""
    return select(jobs.c.id).where(jobs.c.id == job).with_for_update()


def both_sweep(database: str, rows: Rows, sweep: Runnable) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
    """Return what two sweepers take, the first of which has not committed when the second comes."""
    with connected(database) as other:
        first = execute(other, sweep).all()
        rows.connection.exec_driver_sql("SET lock_timeout = '5s'")  # A sweeper that waits for another fails.
        second = rows.run(sweep)
        other.commit()
    return first, second
