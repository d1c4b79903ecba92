"""Connection over which a process renews its lease, and which it uses for that alone.

Gateway and worker each have a thread that uses one (`gateway/background/lease.py`, `workers/leases/lease.py`). A
statement is text, built once, and goes to libpq unchanged: in a renewal the thread asks for the interpreter three
times. Where tools compute, each time may have to wait for all of them (docs/decisions/0032).
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
"""Time for the reply to a renewal; without one, the renewal failed. Time in which this process stood still is not
counted.
"""

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # "%" stands for itself in this one


def as_text(statement: ClauseElement) -> bytes:
    """Return the statement with its values in it; they are names and numbers that Ringback makes."""
    return str(statement.compile(dialect=_dialect, compile_kwargs={"literal_binds": True})).encode()


class LeaseConnection:
    """Connection to Postgres, opened when needed and reopened when it breaks.

    Args:
        connect: opens it, in autocommit.
    """

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect
        self._connection: Connection[Any] | None = None

    def ask(self, statement: bytes) -> list[str]:
        """Execute the statement and commit; return the first column of its rows.

        If the connection broke since its last use, it is replaced at once.

        Raises:
            psycopg.Error: Postgres refuses, or does not reply within ANSWER_SECONDS.
        """
        if self._connection is not None:
            try:
                return self._ask(self._connection, statement)
            except OperationalError:
                if self._connection is not None:  # Postgres replied, with a refusal
                    raise
        self._connection = self._connect()
        return self._ask(self._connection, statement)

    def close(self) -> None:
        """Close the connection; the next `ask` opens another."""
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
