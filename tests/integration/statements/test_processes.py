"""Leases in real rows: which processes live and are steady, and which tools are served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
from sqlalchemy import literal, select, update

from ringback.leases.lease import LEASE_SECONDS
from ringback.statements import looks, processes
from ringback.statements.processes import FORGET_AFTER_SECONDS, TURN_SECONDS, is_alive, is_steady, spec_from_row
from ringback.tables import processes as processes_table
from ringback.tables import worker_tools
from ringback.tools.behavior import ToolBehavior
from tests.integration.statements.statement_rows import ORDER, WEATHER, Rows, seconds_from_now, world


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def set_process(rows: Rows, process: str, **columns: Any) -> None:
    assert rows.count(update(processes_table).where(processes_table.c.id == process).values(**columns)) == 1


def alive(rows: Rows, process: str) -> bool:
    return bool(rows.run(select(is_alive(literal(process))))[0][0])


def steady(rows: Rows, process: str) -> bool:
    return bool(rows.run(select(is_steady(process)))[0][0])


def announce(rows: Rows, worker: str, *tools: Any) -> None:
    for statement in processes.announce(worker, tools):
        rows.count(statement)


def test_a_process_lives_until_its_lease_runs_out(rows: Rows) -> None:
    assert alive(rows, "w")
    assert not alive(rows, "nobody")
    rows.lose("w")
    assert not alive(rows, "w")


def test_a_lease_that_ran_out_may_be_renewed_and_one_that_was_given_up_may_not(rows: Rows) -> None:
    rows.lose("w")
    assert rows.count(processes.renew("w")) == 1
    assert alive(rows, "w")
    assert rows.count(processes.retire("w")) == 1
    assert not alive(rows, "w")
    assert rows.count(processes.renew("w")) == 0
    assert rows.count(processes.retire("w")) == 0
    assert rows.count(processes.renew("nobody")) == 0


@pytest.mark.parametrize("before", ["lives", "lost", "retired"])
def test_a_process_that_registers_again_begins_anew(rows: Rows, before: str) -> None:
    if before == "lost":
        rows.lose("gw")
    if before == "retired":
        assert rows.count(processes.retire("gw")) == 1
    (registered,) = rows.run(processes.register("gw", "gateway", "here", 1))
    assert alive(rows, "gw")
    assert not steady(rows, "gw")
    assert rows.run(processes.renew("gw")) == [registered], "nothing has lapsed since"


def test_a_process_is_steady_when_all_others_have_had_the_time_to_renew(rows: Rows) -> None:
    rows.count(processes.register("new", "worker", "here", 1))
    assert alive(rows, "new")
    assert not steady(rows, "new")
    set_process(rows, "new", steady_since=seconds_from_now(-LEASE_SECONDS - 0.1))
    assert steady(rows, "new")
    assert not steady(rows, "nobody")


def test_a_renewal_in_time_keeps_a_process_steady_and_a_late_one_does_not(rows: Rows) -> None:
    assert rows.count(processes.renew("gw")) == 1
    assert steady(rows, "gw")
    rows.lose("gw")
    assert not steady(rows, "gw")
    assert rows.count(processes.renew("gw")) == 1
    assert not steady(rows, "gw"), "after an outage everybody comes back at once, and nobody is lost"


def test_a_process_that_has_retired_is_not_steady(rows: Rows) -> None:
    rows.count(processes.retire("gw"))
    assert not steady(rows, "gw")


@pytest.mark.parametrize(("seconds_ago", "forgotten"), [(FORGET_AFTER_SECONDS - 5, 0), (FORGET_AFTER_SECONDS + 5, 1)])
def test_a_process_that_is_long_gone_is_forgotten_with_its_tools(
    rows: Rows, seconds_ago: float, forgotten: int
) -> None:
    announce(rows, "w", WEATHER)
    set_process(rows, "w", lease_until=seconds_from_now(-seconds_ago))
    assert rows.count(processes.forget_old()) == forgotten
    assert rows.count(select(worker_tools)) == 1 - forgotten


def test_the_job_of_a_forgotten_worker_keeps_its_name(rows: Rows) -> None:
    job, _ = rows.running()
    set_process(rows, "w", lease_until=seconds_from_now(-FORGET_AFTER_SECONDS - 5))
    rows.count(processes.forget_old())
    assert rows.job(job).worker_id == "w"


def test_a_tool_comes_back_as_it_was_announced(rows: Rows) -> None:
    said = replace(
        WEATHER,
        parameters={"type": "object", "properties": {"ö": {"enum": [1, None]}}},
        behavior=ToolBehavior(say_after=2.5),
    )
    announce(rows, "w", said, ORDER)
    served = {row.name: spec_from_row(row) for row in rows.run(processes.live_tools())}
    assert {name: asdict(tool) for name, tool in served.items()} == {"weather": asdict(said), "order": asdict(ORDER)}
    assert served["weather"].version == said.version


def test_only_living_workers_serve_and_the_last_to_start_decides(rows: Rows) -> None:
    older, newer = replace(WEATHER, description="Old."), replace(WEATHER, description="New.")
    announce(rows, "w", older)
    announce(rows, "w2", newer)
    set_process(rows, "w2", started_at=seconds_from_now(1))
    assert [row.description for row in rows.run(processes.live_tools())] == ["New."]
    rows.count(processes.retire("w2"))
    assert [row.description for row in rows.run(processes.live_tools())] == ["Old."]
    rows.lose("w")
    assert rows.run(processes.live_tools()) == []


def turn(rows: Rows, process: str) -> bool:
    (row,) = rows.run(looks.look(process))
    assert row.living == 4
    return bool(row.is_ours)


def swept(rows: Rows, process: str, seconds_ago: float) -> None:
    set_process(rows, process, swept_at=seconds_from_now(-seconds_ago))


def test_the_turn_to_sweep_is_one_process_s_until_it_is_over(rows: Rows) -> None:
    swept(rows, "gw", TURN_SECONDS + 1)
    assert turn(rows, "w")
    assert not turn(rows, "w2")
    assert not turn(rows, "w")
    swept(rows, "w", TURN_SECONDS + 0.1)
    assert turn(rows, "w2")


def test_a_turn_that_lies_ahead_is_of_a_clock_that_was_set_back_and_holds_up_nothing(rows: Rows) -> None:
    swept(rows, "gw", -3_600)
    assert turn(rows, "w")


def test_a_process_that_is_not_registered_has_no_turn(rows: Rows) -> None:
    assert not turn(rows, "unheard-of")
