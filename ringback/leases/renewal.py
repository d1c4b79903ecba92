"""The connection over which a process renews its lease. Nothing else waits for it, and it waits for nothing else.

Gateway and worker each have a thread that uses one (`gateway/background/lease.py`, `workers/leases/lease.py`). A
statement is text, made once, and goes to libpq as it is: in a renewal the thread asks for the interpreter three times.
That is what counts where tools compute, as each time it may have to wait for all of them (docs/decisions/0032).
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from psycopg import Connection, OperationalError, errors
from psycopg.pq import ConnStatus, ExecStatus
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

ANSWER_SECONDS = 1.0
"""A renewal without an answer by then has missed its turn. Time in which this process stood still does not count."""

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # "%" stands for itself in this one


def as_text(statement: ClauseElement) -> bytes:
    """Return the statement with its values in it; they are names and numbers of our own."""
    return str(statement.compile(dialect=_dialect, compile_kwargs={"literal_binds": True})).encode()


class LeaseConnection:
    """One connection, made when it is needed and made again when it breaks.

    Args:
        connect: makes it, in autocommit.
    """

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect
        self._connection: Connection[Any] | None = None

    def ask(self, statement: bytes) -> list[str]:
        """Run the statement and commit; return the first column of its rows.

        A connection that broke since it was last used is replaced at once.

        Raises:
            psycopg.Error: Postgres refuses, or does not answer within ANSWER_SECONDS.
        """
        if self._connection is not None:
            try:
                return self._ask(self._connection, statement)
            except OperationalError:
                if self._connection is not None:  # it answered, with a refusal
                    raise
        self._connection = self._connect()
        return self._ask(self._connection, statement)

    def close(self) -> None:
        """Close it; the next question would open another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(self, connection: Connection[Any], statement: bytes) -> list[str]:
        libpq = connection.pgconn
        try:
            libpq.send_query(statement)
            result = None
            while libpq.is_busy():
                if not select.select([libpq.socket], [], [], ANSWER_SECONDS)[0]:
                    raise OperationalError(f"no answer within {ANSWER_SECONDS:g} s")
                libpq.consume_input()
            while (following := libpq.get_result()) is not None:
                result = following
        except OperationalError:
            self.close()
            raise
        if result is None or result.status not in _DONE:
            if libpq.status != ConnStatus.OK:
                self.close()
            raise errors.error_from_result(result) if result else OperationalError("the connection is gone")
        return [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]
