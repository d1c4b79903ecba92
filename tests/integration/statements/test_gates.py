"""Gate of a limited tool, its line of postponed calls, and what two workers see of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from ringback.jobs.states import Approval
from ringback.statements.jobs import gates, transitions
from ringback.tables import tool_gates
from ringback.tools.behavior import Limits
from ringback.tools.gate import Ended, Gate, after
from tests.integration.statements.statement_rows import ORDER, WEATHER, Rows, seconds_from_now, world
from tests.integration.statements.two_connections import PATIENCE, Other, another, both_sweep
from tests.servers import execute

TOOL = WEATHER.name
BURST = 4
NOW = 1_000.0
PROBED = Gate(1.0, NOW, failures=3, open_until=NOW, probe_until=NOW + 1)


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def gate(rows: Rows) -> Gate:
    (row,) = rows.run(gates.lock(TOOL, BURST))
    return gates.gate_in(row)


def load(rows: Rows, job: UUID) -> tuple[int, int]:
    (row,) = rows.run(gates.load_around(job, TOOL))
    return row.running, row.ahead


def put_off(rows: Rows, pause: float = 60.0) -> UUID:
    job = rows.asked()
    assert rows.count(gates.postpone(job, pause)) == 1
    return job


def test_a_gate_is_made_full_once_and_kept_as_it_is_written(rows: Rows) -> None:
    made = gate(rows)
    assert (made.tokens, made.failures, made.open_until, made.probe_until) == (BURST, 0, None, None)
    kept = Gate(0.5, made.refilled_at + 1.25, 3, made.refilled_at + 2.5, made.refilled_at + 3.75)
    assert rows.count(gates.save(TOOL, kept)) == 1
    assert gate(rows) == kept
    assert len(rows.run(select(tool_gates))) == 1


def test_its_now_is_the_clock_that_its_other_times_are_of(rows: Rows) -> None:
    first, second = (rows.run(gates.lock(TOOL, BURST))[0] for _ in range(2))
    assert first.refilled_at == second.refilled_at <= first.now <= second.now


def test_who_comes_second_waits_and_counts_what_the_first_has_begun(rows: Rows, other: Other) -> None:
    mine, theirs = rows.asked(), rows.asked()
    rows.count(gates.lock(TOOL, BURST))

    execute(rows.connection, gates.lock(TOOL, BURST))
    execute(rows.connection, transitions.claim(mine, "w"))
    waiting = other.waits(gates.lock(TOOL, BURST), gates.load_around(theirs, TOOL))
    rows.connection.commit()
    _, (seen,) = waiting.result(PATIENCE)
    assert seen.running == 1


def test_who_comes_second_waits_also_for_whoever_makes_the_gate(rows: Rows, other: Other) -> None:
    execute(rows.connection, gates.lock(TOOL, BURST))
    waiting = other.waits(gates.lock(TOOL, BURST))
    execute(rows.connection, gates.save(TOOL, Gate(1.0, 0.0, failures=7)))
    rows.connection.commit()
    ((seen,),) = waiting.result(PATIENCE)
    assert seen.failures == 7


def test_gates_of_two_tools_do_not_wait_for_each_other(rows: Rows, other: Other) -> None:
    execute(rows.connection, gates.lock(TOOL, BURST))
    other.begins(gates.lock("order", BURST))
    other.commits()


def test_the_line_before_a_call_are_the_older_ones_that_were_put_off(rows: Rows) -> None:
    rows.asked()  # it is not postponed
    first = put_off(rows)
    mine = rows.asked()
    put_off(rows)  # younger
    assert load(rows, first) == (0, 0)
    assert load(rows, mine) == (0, 1)


@pytest.mark.parametrize("away", [{"queue": "elsewhere"}, {"deadline_at": seconds_from_now(-1)}, {"tool": "order"}])
def test_nobody_waits_for_a_call_in_line_that_cannot_begin(rows: Rows, away: dict[str, Any]) -> None:
    rows.set(put_off(rows), **away)
    assert load(rows, rows.asked()) == (0, 0)


def test_a_call_that_was_put_off_knows_how_late_it_is_and_no_other_is_late(rows: Rows) -> None:
    late, retried = put_off(rows, -3_600.0), rows.asked(not_before=seconds_from_now(-3_600))
    ((seen,), (other,)) = (rows.run(gates.load_around(job, TOOL)) for job in (late, retried))
    assert 3_600.0 <= seen.late < 3_600.0 + PATIENCE
    assert other.late == 0.0


def test_only_the_tools_own_calls_are_counted(rows: Rows) -> None:
    rows.running(ORDER)
    rows.running()
    assert load(rows, rows.asked()) == (1, 0)


def test_a_call_that_is_put_off_keeps_its_attempts_and_its_deadline(rows: Rows) -> None:
    job = rows.asked()
    before = rows.job(job)
    assert rows.count(gates.postpone(job, 60.0)) == 1
    after = rows.job(job)
    changed = {"put_off", "not_before", "publish_after"}
    assert {name for name in before._fields if getattr(before, name) != getattr(after, name)} == changed
    assert after.publish_after > after.not_before, "who put it off publishes first"
    assert rows.count(transitions.claim(job, "w")) == 0, "it comes too early"


def test_a_call_is_claimed_at_its_time_and_leaves_the_line(rows: Rows) -> None:
    job = rows.asked()
    rows.count(gates.postpone(job, -1.0))
    assert rows.count(transitions.claim(job, "w")) == 1
    assert (rows.job(job).put_off, rows.job(job).attempt) == (False, 1)


@pytest.mark.parametrize(
    "columns",
    [
        {"not_before": seconds_from_now(60)},
        {"approval": Approval.REQUESTED},
        {"state": "cancelled", "finished_at": seconds_from_now(0)},
    ],
    ids=["it is to be tried again later", "it waits for a yes", "it is over"],
)
def test_what_may_not_begin_is_not_put_off_either(rows: Rows, columns: dict[str, Any]) -> None:
    job = rows.asked(**columns)
    (asked,) = rows.run(gates.wanted_tool(job))
    assert not asked.is_due
    assert rows.count(gates.postpone(job, 0.0)) == 0


def test_a_call_of_a_tool_that_is_not_named_is_left_to_its_gate_or_to_another_worker(rows: Rows) -> None:
    job = rows.asked()
    assert rows.count(transitions.claim(job, "w", uuid4(), {"another"})) == 0
    assert rows.count(transitions.claim(job, "w", uuid4(), ())) == 0
    assert rows.count(transitions.claim(job, "w", uuid4(), {TOOL, "another"})) == 1


def test_the_first_in_line_that_sleeps_is_woken_and_then_the_next(rows: Rows) -> None:
    first, second = put_off(rows), put_off(rows)
    assert [row.id for row in rows.run(gates.wake_first(TOOL))] == [first]
    assert [row.id for row in rows.run(gates.wake_first(TOOL))] == [second]
    assert rows.run(gates.wake_first(TOOL)) == []
    assert rows.count(transitions.claim(first, "w")) == 1


def test_two_that_end_at_once_wake_two(database: str, rows: Rows) -> None:
    asleep = {put_off(rows), put_off(rows)}
    first, second = both_sweep(database, rows, gates.wake_first(TOOL))
    assert {row.id for row in (*first, *second)} == asleep


def test_a_retry_is_not_woken_before_its_time(rows: Rows) -> None:
    job, token = rows.running()
    assert rows.count(transitions.retry(job, token, {"code": "x"}, 5.0)) == 1
    assert rows.run(gates.wake_first(TOOL)) == []


def test_a_woken_call_whose_message_is_lost_is_published_by_a_sweeper(rows: Rows) -> None:
    job = put_off(rows)
    rows.run(gates.wake_first(TOOL))
    row = rows.job(job)
    assert row.publish_after > row.not_before


@pytest.mark.parametrize("row", [Gate(1.0, NOW, failures=2), Gate(1.0, NOW), Gate(1.0, NOW, 3, NOW), PROBED])
def test_an_answer_does_to_the_row_what_was_decided(rows: Rows, row: Gate) -> None:
    gate(rows)
    rows.count(gates.save(TOOL, row))
    rows.count(gates.reset_failures(TOOL))
    assert gate(rows) == after(row, Limits(breaker_failures=3), Ended.ANSWERED, is_probe=False, now=NOW)


def test_an_answer_waits_for_nobody_where_there_is_nothing_to_change(rows: Rows, other: Other) -> None:
    gate(rows)
    execute(rows.connection, gates.lock(TOOL, BURST))
    other.begins(gates.reset_failures(TOOL))
    other.commits()


def test_a_gate_of_another_tool_is_not_written(rows: Rows) -> None:
    gate(rows)
    rows.count(gates.lock("order", BURST))
    rows.count(gates.save("order", Gate(0.0, 0.0)))
    assert gate(rows).tokens == BURST
    assert rows.count(update(tool_gates).values(tokens=1)) == 2
