"""A worker's lease depends only on its own row."""

from __future__ import annotations

from threading import Event
from typing import Any

from sqlalchemy import select, text

from ringback.config.settings import postgres_url
from ringback.leases.lease import LeaseTimes
from ringback.tables import processes
from tests.integration.statements.statement_rows import connected
from tests.integration.toolbox.line import PATIENCE, eventually
from workers.leases.in_flight import InFlightCalls
from workers.leases.lease import Lease
from workers.storage.database import Store


def test_a_table_of_jobs_that_stands_still_costs_no_worker_its_lease(database: str) -> None:
    store, fenced = Store(postgres_url(database)), Event()
    lease = Lease(store, ["default"], [], InFlightCalls(), lambda _: fenced.set())
    lease.start()
    assert lease.wait(PATIENCE)
    with connected(database) as table, connected(database) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")

        def lease_until() -> Any:
            return connection.execute(select(processes.c.lease_until)).scalar_one()

        table.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        began = lease_until()
        eventually(
            lambda: fenced.is_set() or (lease_until() - began).total_seconds() > 1.5 * LeaseTimes().stop_after,
            "the lease to go on",
        )
    assert not fenced.is_set()
    lease.stop()
    store.close()
