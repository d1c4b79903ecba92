"""A worker's lease as it registers: however long that takes, it is no reason to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from ringback.leases.lease import LeaseTimes
from workers.leases import lease as leases
from workers.leases.in_flight import InFlightCalls
from workers.leases.lease import WATCH_SECONDS, Lease

PATIENCE = 30.0
TIMES = LeaseTimes(seconds=2.0, renew=2 * WATCH_SECONDS, margin=2 * WATCH_SECONDS)
"""The clock is looked at before the first renewal that follows the registration."""
RENEWALS = 3
"""In their time the clock is looked at more than once."""


class Database:
    """Postgres as a lease sees it: how long it takes, and what it answers. Time passes only in a registration."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.registering_takes = 0.0
        self.is_declared_lost = False
        self.refuses = False
        self.registered = 0
        self.renewed = 0
        self.has_renewed_often = Event()

    def register(self, *_: object) -> None:
        if self.refuses:
            raise psycopg.OperationalError("it is away")
        self.registered += 1
        self.now += self.registering_takes

    def ask(self, _statement: object) -> list[str]:
        if self.is_declared_lost:
            self.is_declared_lost = False
            return []
        self.renewed += 1
        if self.renewed == RENEWALS:
            self.has_renewed_often.set()
        return ["since then"]

    def open(self) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    monkeypatch.setattr(leases, "monotonic", lambda: database.now)
    monkeypatch.setattr(leases, "together", database.register)
    monkeypatch.setattr(leases, "LeaseConnection", lambda _connect: database)
    return database


@pytest.fixture
def start() -> Iterator[Callable[[], tuple[Lease, list[str]]]]:
    """Start a lease; the list has why it was lost, if it was."""
    store: Any = SimpleNamespace(connect_lease=None, lease=SimpleNamespace(close=lambda: None))
    started: list[Lease] = []

    def start() -> tuple[Lease, list[str]]:
        lost: list[str] = []
        lease = Lease(store, ["default"], [], InFlightCalls(), lost.append, times=TIMES)
        started.append(lease)
        lease.start()
        return lease, lost

    yield start
    for lease in started:
        lease._ended.set()  # `stop` would write to the database
        lease._thread.join(PATIENCE)


def test_a_registration_that_takes_longer_than_a_lease_costs_none(
    database: Database, start: Callable[[], tuple[Lease, list[str]]]
) -> None:
    database.registering_takes = 10 * TIMES.seconds
    lease, lost = start()
    assert lease.wait(PATIENCE)
    assert database.has_renewed_often.wait(PATIENCE)
    assert (lost, database.registered) == ([], 1)


def test_a_worker_that_was_declared_lost_as_it_registered_registers_again(
    database: Database, start: Callable[[], tuple[Lease, list[str]]]
) -> None:
    database.is_declared_lost = True
    lease, lost = start()
    assert lease.wait(PATIENCE)
    assert (lost, database.registered) == ([], 2)


def test_a_worker_takes_no_message_before_it_is_registered(
    database: Database, start: Callable[[], tuple[Lease, list[str]]]
) -> None:
    database.refuses = True
    lease, _ = start()
    assert not lease.wait(0.0)
    assert lease.sheds, "it could claim no job, and others may"
    database.refuses = False
    assert lease.wait(PATIENCE)
    assert not lease.sheds
