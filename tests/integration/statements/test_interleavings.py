"""Two workers, a sweeper, two gateways and the time on one job: every order of their statements, and every death.

Each statement is one step, and Postgres makes one after the other of them: what holds in every order holds. In each
state that is reached all actors also die, and the healthy ones must bring the job to its end. Run with -s for the
counts, and with RINGBACK_STORIES=1 for the whole of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from ringback.jobs.states import Effect
from ringback.statements import processes
from ringback.statements.jobs import admission
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions import lifecycle
from ringback.tables import processes as processes_table
from ringback.tools.spec import ToolSpec
from tests.integration.model.actors import JOB, SESSION, TOKEN, newcomer, owner, sweeper, time, worker
from tests.integration.model.clock import stopped_clock
from tests.integration.model.explorer import HEALER, NEWCOMER, Explorer
from tests.integration.model.rows import RealRows
from tests.integration.statements.statement_rows import seconds_from_now

WHOLE = bool(os.environ.get("RINGBACK_STORIES"))
"""Include the deadline, and what the sweeper does then: three times as many states."""
TOOL = ToolSpec("look", "Look.", {"type": "object"}, timeout=10.0, retries=1)


@pytest.fixture
def rows(database: str) -> Iterator[RealRows]:
    with stopped_clock(database) as connection:
        rows = RealRows(connection)
        for name in ("gw-1", "gw-2", "w-1", "w-2", HEALER):
            rows.run(processes.register(name, "gateway" if name.startswith("gw") else "worker", "here", 1))
        # All but the first worker hold their leases to the end; the sweeper is steady from the beginning.
        held = {"lease_until": seconds_from_now(3_600), "steady_since": seconds_from_now(-60)}
        rows.run(update(processes_table).where(processes_table.c.id != "w-1").values(**held))
        opened: dict[str, Any] = {"user_id": "ada", "agent": "demo", "model": "m", "gateway_id": "gw-1"}
        rows.run(lifecycle.open_session(SESSION, resume_hash=TOKEN, resume_seconds=3_600.0, **opened))
        yield rows


def admit(rows: RealRows, tool: ToolSpec) -> None:
    new = NewJob(JOB, SESSION, "call_1", "resp_1", tool.name, {}, tool, "item_1", 1)
    assert rows.ids(admission.admit(new, "gw-1", 1)) == {JOB}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("effect", "gives_back", "comes_to"),
    [(Effect.PURE, True, "gw-2"), (Effect.IDEMPOTENT, False, "gw-1"), (Effect.AT_MOST_ONCE, False, "gw-2")],
    ids=str,
)
def test_every_order_of_steps_leaves_the_invariants_whole(
    rows: RealRows, effect: Effect, gives_back: bool, comes_to: str
) -> None:
    admit(rows, replace(TOOL, effect=effect))
    has_barrier = effect is Effect.AT_MOST_ONCE
    programs = {
        "w-1": worker("w-1", has_barrier=has_barrier, gives_back=gives_back),
        "w-2": worker("w-2", has_barrier=has_barrier),
        "gw-1": owner("gw-1"),
        NEWCOMER: newcomer(NEWCOMER, comes_to),
        HEALER: sweeper(HEALER, times_out=WHOLE),
        "time": time(to_the_deadline=WHOLE),
    }
    explorer = Explorer(rows, programs)
    orders = explorer.explore()
    print(f"{effect}: {orders:,} orders, {len(explorer.orders):,} states, {explorer.steps:,} steps")  # noqa: T201
    assert {"outcome", "next epoch", "read of gw-1", "mark of gw-1", "tell of gw-1"} <= set(explorer.refused)
