"""Runs of kept statements: their parameters and rows are psycopg's, all else is libpq's own.

Psycopg's cursor makes an adapter, a query, a row's names and a result of its own for each run, whatever ran before. A
statement that is kept differs in its parameters alone. So it is prepared once for a connection, and its rows' names are
read once. It costs half the time of a cursor, in each of the statements that a call waits for (docs/decisions/0106).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import BaseConnection, errors, generators
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from ringback.postgres.statement import Bound

_namedtuple: Any = namedtuple  # mypy wants names that it can read
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Postgres answered: the rows, and how many were found or changed."""

    rows: list[Any]
    count: int

    @property
    def first(self) -> Any | None:
        """Return the first row; None if there is none."""
        return self.rows[0] if self.rows else None


@dataclass(slots=True)
class Kept:
    """Statement on a connection, for parameters of these types.

    Args:
        is_prepared: not before its second run, as it costs a round trip.
        row: makes a row of its values; None until it has returned any.
    """

    name: bytes
    is_prepared: bool = False
    row: Callable[[Any], Any] | None = None


class KeptStatements:
    """Kept statements of one connection."""

    def __init__(self, connection: BaseConnection[Any]) -> None:
        self._libpq = connection.pgconn
        self._adapter = Transformer(connection)
        self._of: dict[tuple[bytes, tuple[int, ...] | None], Kept] = {}

    def run(self, statement: Bound) -> PQGen[Answer]:
        """Run the statement; the connection's `wait` takes this generator.

        Raises:
            psycopg.Error: Postgres refuses it, or the connection is gone.
        """
        adapter, libpq = self._adapter, self._libpq
        values = adapter.dump_sequence(statement.parameters, [PyFormat.AUTO] * len(statement.parameters))
        types, formats = adapter.types, adapter.formats
        kept = self._of.get((statement.text, types))
        if kept is None:
            kept = self._of[statement.text, types] = Kept(b"kept_%d" % len(self._of))
            libpq.send_query_params(statement.text, values, types, formats)
        else:
            if not kept.is_prepared:
                libpq.send_prepare(kept.name, statement.text, types)
                _done((yield from generators.execute(libpq)))
                kept.is_prepared = True
            libpq.send_query_prepared(kept.name, values, formats)
        result = _done((yield from generators.execute(libpq)))
        if result.status == ExecStatus.COMMAND_OK:
            return Answer([], result.command_tuples or 0)
        if kept.row is None:
            kept.row = _row_of(result)
        adapter.set_pgresult(result)
        rows = adapter.load_rows(0, result.ntuples, kept.row)
        adapter.set_pgresult(None)  # else an idle connection would hold all that it read last
        return Answer(rows, result.ntuples)


def _done(results: list[PGresult]) -> PGresult:
    """Return the result, or raise what Postgres said instead."""
    for result in results:
        if result.status not in _DONE:
            raise errors.error_from_result(result)
    return results[-1]


def _row_of(result: PGresult) -> Callable[[Any], Any]:
    """Return what makes a row of values; its fields have the names that the statement gives them."""
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    made: Callable[[Any], Any] = _namedtuple("Row", names, rename=True)._make
    return made
