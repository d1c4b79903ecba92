"""Pauses and limits of queues and tools: what a claim does at each, step by step, and what wakes the calls again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

import pytest
from sqlalchemy import select, update

from ringback.history.operators import ActName, AuditQuery
from ringback.statements.jobs import controls as seen
from ringback.statements.jobs import gates, queues, sweeps, transitions
from ringback.statements.operators import audit, controls
from ringback.statements.operators.audit import Operator
from ringback.tables import controls as controls_table
from ringback.tables import processes
from tests.integration.statements.statement_rows import WEATHER, Rows, seconds_from_now, world
from tests.integration.statements.two_connections import PATIENCE, Other, another
from tests.servers import execute

ADA = Operator("default", "ada", "key:1")
TOOL, QUEUE = WEATHER.name, WEATHER.queue
Kind = Literal["queue", "tool"]
BOTH: list[tuple[Kind, str]] = [("queue", QUEUE), ("tool", TOOL)]


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def claim(rows: Rows, job: UUID, *locked: str) -> bool:
    return bool(rows.run(transitions.claim(job, "w", tools=[TOOL], locked=locked)))


def held(rows: Rows) -> UUID:
    """A call that a worker found paused."""
    job = rows.asked()
    assert rows.count(gates.hold(job)) == 1
    return job


# — a claim —


@pytest.mark.parametrize(("kind", "name"), BOTH)
def test_a_call_of_what_is_paused_is_not_claimed_and_one_of_another_is(rows: Rows, kind: Kind, name: str) -> None:
    job = rows.asked()
    (control,) = rows.run(controls.pause(ADA, kind, name))
    assert (control.kind, control.name, control.paused, control.concurrency) == (kind, name, True, None)
    rows.run(controls.pause(ADA, kind, "another"))
    assert not claim(rows, job)
    (asked,) = rows.run(gates.wanted_tool(job))
    assert asked.is_controlled
    rows.run(controls.resume(ADA, kind, name))
    (asked,) = rows.run(gates.wanted_tool(job))
    assert not asked.is_controlled
    assert claim(rows, job)


@pytest.mark.parametrize(("kind", "name"), BOTH)
def test_a_claim_passes_those_controls_that_it_has_locked_and_no_others(rows: Rows, kind: Kind, name: str) -> None:
    job = rows.asked()
    rows.run(controls.limit(ADA, kind, name, 1))
    assert not claim(rows, job)
    (other_kind, other_name) = next(each for each in BOTH if each[0] != kind)
    rows.run(controls.pause(ADA, other_kind, other_name))
    assert not claim(rows, job, kind)
    rows.run(controls.resume(ADA, other_kind, other_name))
    assert claim(rows, job, kind)


def test_the_lock_tells_of_both_and_leaves_out_what_holds_no_more(rows: Rows) -> None:
    rows.run(controls.pause(ADA, "queue", QUEUE))
    rows.run(controls.limit(ADA, "tool", TOOL, 3))
    found = [(row.kind, row.paused, row.concurrency) for row in rows.run(seen.lock(QUEUE, TOOL))]
    assert found == [("queue", True, None), ("tool", False, 3)]
    rows.run(controls.resume(ADA, "queue", QUEUE))
    rows.run(controls.limit(ADA, "tool", TOOL, None))
    assert rows.run(seen.lock(QUEUE, TOOL)) == []
    assert rows.run(controls.all_controls()) == []
    assert len(rows.run(select(controls_table))) == 2


def test_a_limit_stays_through_a_pause(rows: Rows) -> None:
    rows.run(controls.limit(ADA, "queue", QUEUE, 2))
    (paused,) = rows.run(controls.pause(ADA, "queue", QUEUE))
    assert (paused.paused, paused.concurrency) == (True, 2)
    (going,) = rows.run(controls.resume(ADA, "queue", QUEUE))
    assert (going.paused, going.concurrency) == (False, 2)


# — a call that is held —


def test_a_held_call_has_no_message_until_its_deadline_ends_it(rows: Rows) -> None:
    job = held(rows)
    assert not claim(rows, job)
    (asked,) = rows.run(gates.wanted_tool(job))
    assert not asked.is_due
    assert rows.run(sweeps.publish_due()) == []
    assert rows.run(sweeps.publish_again()) == []
    assert rows.run(sweeps.publish_taken(QUEUE)) == []
    assert rows.run(gates.wake_first(TOOL)) == []
    assert rows.run(gates.wake_first_in(QUEUE)) == []
    rows.set(job, deadline_at=seconds_from_now(-5))
    assert [row.state for row in rows.run(sweeps.time_out_overdue())] == ["timed_out"]
    assert rows.job(job).delivery == "ready"


@pytest.mark.parametrize(("kind", "name"), BOTH)
def test_what_was_held_is_due_at_once_when_it_goes_on(rows: Rows, kind: Kind, name: str) -> None:
    rows.run(controls.pause(ADA, kind, name))
    first, second, retried = held(rows), held(rows), rows.asked()
    rows.set(retried, not_before=seconds_from_now(60), publish_after=seconds_from_now(60))
    rows.run(controls.resume(ADA, kind, name))
    assert {row.id for row in rows.run(sweeps.publish_due())} == {first, second}
    assert claim(rows, first)
    assert not rows.job(first).put_off
    assert not claim(rows, retried)


@pytest.mark.parametrize(("before", "after", "wakes"), [(1, 2, True), (1, None, True), (2, 1, False), (None, 1, False)])
def test_a_limit_that_is_raised_wakes_those_that_wait_for_a_place(
    rows: Rows, before: int | None, after: int | None, wakes: bool
) -> None:
    rows.run(controls.limit(ADA, "queue", QUEUE, before))
    job = rows.asked()
    assert rows.count(gates.postpone(job, 60.0)) == 1
    rows.run(controls.limit(ADA, "queue", QUEUE, after))
    assert [row.id for row in rows.run(sweeps.publish_due())] == ([job] if wakes else [])


def test_what_a_worker_holds_while_the_queue_goes_on_is_woken_all_the_same(rows: Rows, other: Other) -> None:
    rows.run(controls.pause(ADA, "queue", QUEUE))
    job = rows.asked()
    assert len(execute(rows.connection, seen.lock(QUEUE, TOOL)).all()) == 1  # a worker has seen the pause
    going_on = other.waits(controls.resume(ADA, "queue", QUEUE))
    execute(rows.connection, gates.hold(job))
    rows.connection.commit()
    going_on.result(PATIENCE)
    assert [row.id for row in rows.run(sweeps.publish_due())] == [job]


def test_a_worker_that_comes_while_the_queue_goes_on_holds_no_call(rows: Rows, other: Other) -> None:
    rows.run(controls.pause(ADA, "queue", QUEUE))
    execute(rows.connection, controls.resume(ADA, "queue", QUEUE))
    locking = other.waits(seen.lock(QUEUE, TOOL))
    rows.connection.commit()
    assert locking.result(PATIENCE) == [[]]


def test_of_two_that_take_the_last_place_of_a_queue_the_second_counts_the_first(rows: Rows, other: Other) -> None:
    rows.run(controls.limit(ADA, "queue", QUEUE, 1))
    job = rows.asked()
    execute(rows.connection, seen.lock(QUEUE, TOOL))
    execute(rows.connection, transitions.claim(job, "w", locked=["queue"]))
    counting = other.waits(seen.lock(QUEUE, TOOL), gates.running_in(QUEUE))
    rows.connection.commit()
    _, (counted,) = counting.result(PATIENCE)
    assert counted.running == 1


def test_the_oldest_that_waits_for_a_place_in_the_queue_is_woken_first(rows: Rows) -> None:
    first, second = rows.asked(), rows.asked()
    for job in (second, first):
        assert rows.count(gates.postpone(job, 60.0)) == 1
    assert [row.id for row in rows.run(gates.wake_first_in(QUEUE))] == [first]
    assert [row.id for row in rows.run(gates.wake_first_in(QUEUE))] == [second]
    assert rows.run(gates.wake_first_in(QUEUE)) == []


# — what is told of it —


def test_the_wait_in_a_queue_that_is_paused_is_unknown_and_a_limit_is_its_slots(rows: Rows) -> None:
    def slots() -> list[int]:
        return [row.slots for row in rows.run(queues.loads())]

    served = update(processes).where(processes.c.kind == "worker").values(queues=[QUEUE], slots=10)
    assert rows.count(served) == 2
    assert slots() == [20]
    rows.run(controls.limit(ADA, "queue", QUEUE, 3))
    assert slots() == [3]
    rows.run(controls.pause(ADA, "queue", QUEUE))
    assert slots() == [0]


@pytest.mark.parametrize(("kind", "name"), BOTH)
def test_each_act_on_it_is_in_the_log(rows: Rows, kind: Kind, name: str) -> None:
    rows.run(controls.pause(ADA, kind, name))
    rows.run(controls.limit(ADA, kind, name, 2))
    rows.run(controls.resume(ADA, kind, name))
    acts: list[Any] = list(rows.run(audit.page_of_acts("default", AuditQuery())))
    wanted = [ActName(f"{kind}.{act}") for act in ("resume", "limit", "pause")]
    assert [(act.act, act.target, act.rows) for act in acts] == [(act, name, 1) for act in wanted]


def test_what_no_process_serves_and_no_control_names_is_not_known(rows: Rows) -> None:
    assert rows.run(controls.is_known("queue", "nothing")) == []
    rows.run(controls.pause(ADA, "queue", "nothing"))
    assert len(rows.run(controls.is_known("queue", "nothing"))) == 1
    assert rows.run(controls.is_known("tool", "nothing")) == []
