"""Pauses, limits and reruns with real workers: what begins, what waits in its row, and what is woken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import select

from ringback.statements.operators import acts, controls
from ringback.statements.operators.audit import Operator
from ringback.tables import jobs
from ringback.tools.gate import Ended
from tests.integration.toolbox.line import Line, eventually
from tests.integration.toolbox.runtimes import claimed, run_job
from tests.integration.workers.test_gates import Two

ADA = Operator("default", "ada", "key:1")


@pytest.fixture
def two(line: Line) -> Iterator[Two]:
    two = Two(line)
    yield two
    for runtime in two.stations:
        runtime.stop()


@pytest.mark.parametrize(("kind", "name"), [("queue", "errands"), ("tool", "echo")])
def test_what_is_paused_waits_in_its_row_and_runs_when_it_goes_on(two: Two, kind: controls.Kind, name: str) -> None:
    two.line.run(controls.pause(ADA, kind, name))
    waiting = two.run("echo", text="x")
    assert (waiting.state, waiting.put_off, waiting.attempt, waiting.publish_after) == ("pending", True, 0, None)
    two.line.run(controls.resume(ADA, kind, name))
    two.run_again(waiting.id)
    assert two.line.job(waiting.id).state == "succeeded"


def test_a_paused_tool_holds_up_no_other_tool_of_its_queue(two: Two) -> None:
    two.line.run(controls.pause(ADA, "tool", "echo"))
    assert two.run("echo", text="x").state == "pending"
    assert two.run("echo_async", text="x").state == "succeeded"


@pytest.mark.parametrize(("kind", "name"), [("queue", "errands"), ("tool", "nap")])
def test_however_many_claim_at_once_no_more_run_than_an_operator_allows(
    two: Two, kind: controls.Kind, name: str
) -> None:
    two.line.run(controls.limit(ADA, kind, name, 2))
    job_ids = [two.line.admit("nap", seconds=0) for _ in range(8)]
    turns = [(two.stations[number % 2], job_id) for number, job_id in enumerate(job_ids)]
    with ThreadPoolExecutor(len(turns)) as threads:
        found = [job for job in threads.map(lambda turn: claimed(*turn), turns) if job]
    assert len(found) == two.line.count("running") == 2
    assert sum(two.line.job(job_id).put_off for job_id in job_ids) == 6


def test_a_tool_has_the_smaller_of_its_own_limit_and_the_operators(two: Two) -> None:
    two.line.run(controls.limit(ADA, "tool", "take_a_place", 100))
    job_ids = [two.line.admit("take_a_place", path="", seconds=0) for _ in range(5)]
    assert len([job for job_id in job_ids if (job := claimed(two.stations[0], job_id))]) == 3
    two.line.run(controls.limit(ADA, "tool", "alone", 5))
    alone = [two.line.admit("alone", path="/") for _ in range(2)]
    assert len([job for job_id in alone if (job := claimed(two.stations[0], job_id))]) == 1


@pytest.mark.parametrize(("kind", "name"), [("queue", "errands"), ("tool", "tell_a_story")])
def test_a_call_that_ends_wakes_the_next_that_waits_for_its_place(two: Two, kind: controls.Kind, name: str) -> None:
    two.line.run(controls.limit(ADA, kind, name, 1))
    one, other = two.stations
    first, second = (two.line.admit("tell_a_story", text="x", ending="well") for _ in range(2))
    job = claimed(one, first)
    assert job is not None
    run_job(other, second)
    assert two.line.job(second).put_off
    two.published.clear()
    one.limits.ended(job.tool, Ended.LEFT, limited=job.limited)
    eventually(lambda: second in two.published, "the next to be published")


def test_a_rerun_has_the_key_of_the_call_that_it_repeats_and_rings_no_gateway(two: Two) -> None:
    first = two.run("tell_a_story", text="order 7: in Graz", ending="well")
    before = two.line.rung()
    assert first.summary == "order 7: in Graz"
    two.line.run(acts.rerun(ADA, [first.id]))
    again = _rerun(two.line, first.id)
    two.run_again(again)
    row = two.line.job(again)
    assert (row.state, row.delivery, row.result) == ("succeeded", "history_only", f"{first.id} {first.id}")
    assert two.line.rung() == before


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("two\nlines \tof it", "two lines of it"),
        ("ä" * 150, "ä" * 98 + "…"),
        ("card 4111 1111 1111 1111", "card 4111 1111 1111 1111"),
        ("  ", None),
    ],
)
def test_a_summary_is_one_line_that_fits(two: Two, told: str, kept: str | None) -> None:
    row = two.run("tell_a_story", text=told, ending="well")
    assert row.summary == kept


def test_an_attempt_that_fails_keeps_its_summary_too(two: Two) -> None:
    row = two.run("tell_a_story", text="got as far as the door", ending="break")
    assert (row.state, row.error["code"], row.summary) == ("pending", "tool_failed", "got as far as the door")


def _rerun(line: Line, first: UUID) -> UUID:
    with line.engine.connect() as connection:
        return UUID(str(connection.execute(select(jobs.c.id).where(jobs.c.rerun_of == first)).scalar_one()))


@pytest.mark.long
def test_a_paused_queue_with_a_real_worker_process_runs_what_waited_within_seconds(line: Line) -> None:
    with line.worker():
        assert line.finished(line.ask("echo", text="before")).state == "succeeded"
        line.run(controls.pause(ADA, "queue", "errands"))
        waiting = [line.ask("echo", text="x") for _ in range(20)]
        eventually(lambda: all(line.job(job).put_off for job in waiting), "all to be held")
        assert line.count("running") == 0
        line.run(controls.resume(ADA, "queue", "errands"))
        assert {line.finished(job).state for job in waiting} == {"succeeded"}
        line.run(acts.rerun(ADA, waiting, grace=0))
        reruns = [_rerun(line, job) for job in waiting]
        assert {line.finished(job).delivery for job in reruns} == {"history_only"}
