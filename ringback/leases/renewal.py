"""Connection over which a process renews its lease, and which it uses for that alone.

Gateway and worker each have a thread that uses one (`gateway/background/lease.py`, `workers/leases/lease.py`). A
statement goes to libpq as it is: in a renewal the thread asks for the interpreter three times. Where tools compute,
each time may have to wait for all of them (docs/decisions/0032).
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from psycopg import Connection, DatabaseError, OperationalError, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus

from ringback.postgres.statement import Bound

ANSWER_SECONDS = 1.0
"""Time for the reply to a renewal; without one, the renewal failed. Time in which this process stood still is not
counted.
"""

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class LeaseConnection:
    """Connection to Postgres, opened when needed and reopened when it breaks.

    Args:
        connect: opens it, in autocommit.
    """

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect
        self._connection: Connection[Any] | None = None

    def ask(self, statement: Bound) -> list[str]:
        """Execute the statement and commit; return the first column of its rows.

        If the connection broke since its last use, it is replaced at once.

        Raises:
            psycopg.Error: Postgres refuses, or does not reply within ANSWER_SECONDS.
        """
        if self._connection is not None:
            try:
                return self._ask(self._connection, statement)
            except DatabaseError:
                if self._connection is not None:  # Postgres replied, with a refusal
                    raise
        return self._ask(self.open(), statement)

    def open(self) -> Connection[Any]:
        """Return the connection, opened now if there is none.

        Raises:
            psycopg.Error: Postgres cannot be reached.
        """
        self._connection = self._connection or self._connect()
        return self._connection

    def close(self) -> None:
        """Close the connection; the next `ask` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(self, connection: Connection[Any], statement: Bound) -> list[str]:
        libpq = connection.pgconn
        try:
            libpq.send_query_params(statement.text, *_dumped(statement.parameters))
            result = None
            while libpq.is_busy():
                if not _is_answered(libpq.socket):
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


def _is_answered(socket: int) -> bool:
    """Wait for the reply; False: none came. `select.select` takes no file above 1,023, and a gateway has more open."""
    reply = select.poll()
    reply.register(socket, select.POLLIN)
    return bool(reply.poll(ANSWER_SECONDS * 1_000))


def _dumped(parameters: list[Any]) -> tuple[Any, Any, Any]:
    """Return the parameters as libpq takes them: their values, types and formats."""
    transformer = Transformer()
    values = transformer.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
    return values, transformer.types, transformer.formats
