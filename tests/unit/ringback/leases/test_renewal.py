"""A connection that broke is replaced within the renewal that finds it so, in whichever way libpq tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.pq import ConnStatus, ExecStatus

from ringback.leases.renewal import LeaseConnection
from ringback.postgres.statement import Bound

RENEWAL = Bound(b"SELECT 1", [])


def connection(*results: Any, status: ConnStatus = ConnStatus.OK) -> Any:
    """A connection as far as a renewal uses it, which gives these results."""
    following = iter([*results, None])
    libpq = SimpleNamespace(
        status=status,
        send_query_params=lambda *_: None,
        is_busy=lambda: False,
        get_result=lambda: next(following, None),
    )
    return SimpleNamespace(pgconn=libpq, close=lambda: None)


def answer(text: bytes) -> Any:
    return SimpleNamespace(status=ExecStatus.TUPLES_OK, ntuples=1, get_value=lambda *_: text)


def refusal(sqlstate: bytes | None) -> Any:
    message = "server closed the connection unexpectedly"
    return SimpleNamespace(
        status=ExecStatus.FATAL_ERROR, error_field=lambda _: sqlstate, get_error_message=lambda *_: message
    )


def test_a_line_that_is_found_broken_by_a_result_is_replaced_at_once() -> None:
    """So libpq tells of a write that failed: by a result without an SQLSTATE, and not by an exception."""
    connections = iter([connection(refusal(None), status=ConnStatus.BAD), connection(answer(b"renewed"))])
    lease = LeaseConnection(lambda: next(connections))
    lease.open()
    assert lease.ask(RENEWAL) == ["renewed"]


def test_what_postgres_refuses_is_not_asked_again() -> None:
    connections = iter([connection(refusal(b"57014"))])
    lease = LeaseConnection(lambda: next(connections))
    lease.open()
    with pytest.raises(psycopg.errors.QueryCanceled):
        lease.ask(RENEWAL)
