"""A call whose tool a worker lacks: passed on while any has it, told to the model once none has had it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from ringback.jobs.states import Approval
from ringback.statements import processes
from ringback.statements.jobs import passing, transitions
from ringback.statements.jobs.passing import UNSERVED_SECONDS
from ringback.tables import processes as processes_table
from tests.integration.statements.statement_rows import WEATHER, Rows, seconds_from_now, world

MOVED = replace(WEATHER, queue="moved")
STRICTER = replace(WEATHER, parameters={"type": "object", "required": ["country"]})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def announce(rows: Rows, worker: str, *tools: Any) -> None:
    for statement in processes.announce(worker, tools):
        rows.count(statement)


def away(rows: Rows, worker: str, seconds: float) -> None:
    """Let the worker's lease have expired so long ago."""
    lease = {"lease_until": seconds_from_now(-seconds)}
    assert rows.count(update(processes_table).where(processes_table.c.id == worker).values(**lease)) == 1


def passed_on(rows: Rows, job: UUID) -> list[str]:
    return [row.queue for row in rows.run(passing.pass_on(job, 0.5))]


def claimed_unserved(rows: Rows, job: UUID) -> int:
    return rows.count(passing.claim_unserved(job, "w", uuid4(), WEATHER.name))


def test_a_call_is_passed_on_uncounted_while_a_living_worker_has_its_tool(rows: Rows) -> None:
    announce(rows, "w2", WEATHER)
    job = rows.asked(publish_count=4)
    before = rows.job(job)
    assert passed_on(rows, job) == [WEATHER.queue]
    after = rows.job(job)
    assert (after.state, after.attempt, after.publish_count) == ("pending", 0, 0)
    assert (after.not_before, after.deadline_at) == (None, before.deadline_at)
    assert after.publish_after > before.publish_after
    assert claimed_unserved(rows, job) == 0
    assert rows.count(transitions.claim(job, "w2")) == 1


@pytest.mark.parametrize(
    "columns",
    [{"approval": Approval.REQUESTED}, {"not_before": seconds_from_now(9)}],
    ids=["a yes is waited for", "a pause is waited for"],
)
def test_what_may_not_begin_is_not_passed_on(rows: Rows, columns: dict[str, Any]) -> None:
    announce(rows, "w2", WEATHER)
    assert passed_on(rows, rows.asked(**columns)) == []
    assert passed_on(rows, rows.asked(deadline_at=seconds_from_now(-1))) == []
    assert passed_on(rows, rows.running()[0]) == []


def test_a_call_follows_its_tool_to_the_queue_that_a_living_worker_names(rows: Rows) -> None:
    announce(rows, "w", WEATHER)
    announce(rows, "w2", MOVED)
    job = rows.asked()
    assert passed_on(rows, job) == [WEATHER.queue], "its own queue, while a worker serves the tool there"
    away(rows, "w", 1)
    assert passed_on(rows, job) == [MOVED.queue]
    assert rows.job(job).queue == MOVED.queue


def test_a_tool_is_waited_for_as_long_as_a_worker_takes_to_start_again(rows: Rows) -> None:
    announce(rows, "w2", WEATHER)
    job = rows.asked()
    away(rows, "w2", UNSERVED_SECONDS - 1)
    assert (claimed_unserved(rows, job), passed_on(rows, job)) == (0, [WEATHER.queue])
    away(rows, "w2", UNSERVED_SECONDS)
    assert (passed_on(rows, job), claimed_unserved(rows, job)) == ([], 1)


def test_a_worker_whose_own_lease_has_just_come_back_says_of_no_tool_that_it_is_gone(rows: Rows) -> None:
    job = rows.asked()
    steady = update(processes_table).where(processes_table.c.id == "w")
    rows.count(steady.values(steady_since=seconds_from_now(0)))
    assert claimed_unserved(rows, job) == 0
    rows.count(steady.values(steady_since=seconds_from_now(-processes.STEADY_SECONDS)))
    assert claimed_unserved(rows, job) == 1


def test_only_other_versions_of_living_workers_are_asked_whether_arguments_fit_them(rows: Rows) -> None:
    announce(rows, "w", WEATHER)
    announce(rows, "w2", STRICTER)
    (other,) = rows.run(passing.other_versions(WEATHER.name, WEATHER.version))
    assert (other.parameters, other.queue) == (STRICTER.parameters, STRICTER.queue)
    away(rows, "w2", 1)
    assert rows.run(passing.other_versions(WEATHER.name, WEATHER.version)) == []


def test_a_claim_that_was_not_begun_is_undone_and_costs_nothing(rows: Rows) -> None:
    job, token = rows.running()
    assert rows.count(passing.pass_back(job, uuid4(), "moved", 0.0)) == 0, "a stale token"
    assert rows.count(passing.pass_back(job, token, "moved", 0.0)) == 1
    row = rows.job(job)
    assert (row.state, row.token, row.attempt, row.queue) == ("pending", None, 0, "moved")
    assert row.max_attempts == WEATHER.retries + 1


@pytest.mark.parametrize("columns", [{"cancel_requested": True}, {"effect_started": True}], ids=str)
def test_what_has_begun_or_was_cancelled_is_not_passed_back(rows: Rows, columns: dict[str, Any]) -> None:
    job, token = rows.running(**columns)
    assert rows.count(passing.pass_back(job, token, "moved", 0.0)) == 0
