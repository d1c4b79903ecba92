"""Real workers with many calls: hundreds that wait at once, limits that two workers share, threads that hang."""

from __future__ import annotations

import itertools
from itertools import accumulate
from pathlib import Path

import pytest

from ringback.jobs.states import CancelReason
from ringback.statements.jobs import transitions
from ringback.tables import DEFAULT_TENANT
from tests.integration.toolbox.limited import PLACES
from tests.integration.toolbox.line import PATIENCE, Line, eventually
from workers.execution.invoker import MAX_STUCK_THREADS
from workers.leases.lease import FENCED_EXIT

MANY = 500
ONE_AFTER_THE_OTHER = 60
"""Calls on one slot: Celery's loop by itself looks once a second whether it is free, twice `PATIENCE` for all."""
LIMITED = "tests.integration.toolbox.limited"

pytestmark = pytest.mark.long


def notes(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.timeout(240)
def test_five_hundred_async_tools_are_inside_their_function_at_once_in_one_worker_as_it_comes(
    line: Line, tmp_path: Path
) -> None:
    with line.worker() as worker:
        job_ids = [line.admit("gather", path=str(tmp_path / "all here"), number=MANY) for _ in range(MANY)]
        for job_id in job_ids:
            line.publish(job_id)
        eventually((tmp_path / "all here").exists, "all of them to be inside", 4 * PATIENCE)
        assert line.finished(line.ask("echo", text="x")).result["pid"] == worker.pid, "and one more is served"
        rows = [line.finished(job_id) for job_id in job_ids]
    assert {(job.state, job.result, job.attempt) for job in rows} == {("succeeded", MANY, 1)}


def test_a_worker_that_is_full_of_calls_that_hold_no_thread_leaves_the_next_to_others(
    line: Line, tmp_path: Path
) -> None:
    with line.worker(RINGBACK_WORKER_CONCURRENCY="2") as full:
        for _ in range(2):
            line.ask("linger_async", path=str(tmp_path / "attempts"))
        eventually(lambda: len(notes(tmp_path / "attempts")) == 2, "both to wait on the loop")
        job_id = line.ask("echo", text="x")
        with line.worker() as other:
            assert line.finished(job_id).result["pid"] == other.pid != full.pid


def test_a_worker_says_how_many_calls_it_runs_at_once(line: Line) -> None:
    with line.worker(RINGBACK_WORKER_CONCURRENCY="7"):
        assert [row.slots for row in line.workers()] == [7]


def test_a_full_worker_takes_the_next_call_as_one_ends(line: Line) -> None:
    with line.worker(RINGBACK_WORKER_CONCURRENCY="1"):
        job_ids = [line.ask("echo", text="x") for _ in range(ONE_AFTER_THE_OTHER)]
        eventually(lambda: all(line.job(job_id).finished_at for job_id in job_ids), "all of them to be over")
    assert {(job.state, job.attempt) for job in map(line.job, job_ids)} == {("succeeded", 1)}


def test_each_child_of_a_prefork_pool_runs_one(line: Line) -> None:
    with line.worker("celery", "-A", "workers.app", "worker", "-P", "prefork", "-c", "2"):
        eventually(lambda: len(line.workers()) == 2, "both children")
        assert [row.slots for row in line.workers()] == [1, 1]


def test_two_workers_together_run_no_more_of_a_tool_than_it_bears(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "doors"
    with line.worker(RINGBACK_TOOL_MODULES=LIMITED), line.worker(RINGBACK_TOOL_MODULES=LIMITED):
        job_ids = [line.ask("take_a_place", path=str(path), seconds=0.1) for _ in range(40)]
        rows = [line.finished(job_id) for job_id in job_ids]
    assert {(job.state, job.attempt) for job in rows} == {("succeeded", 1)}
    assert len({job.worker_id for job in rows}) == 2, "both have served"
    inside = list(accumulate(1 if note == "in" else -1 for note in notes(path)))
    assert max(inside) == PLACES


def test_a_place_that_died_with_its_worker_is_taken_by_another(line: Line, tmp_path: Path) -> None:
    with line.worker(RINGBACK_TOOL_MODULES=LIMITED) as first:
        held = [line.ask("take_a_place", path=str(tmp_path / "doors"), seconds=600) for _ in range(PLACES)]
        eventually(lambda: len(notes(tmp_path / "doors")) == PLACES, "all places to be taken")
        first.kill()
    for job_id in held:
        line.set_arguments(job_id, path=str(tmp_path / "doors"), seconds=0)
    with line.worker(RINGBACK_TOOL_MODULES=LIMITED):
        after = line.ask("take_a_place", path=str(tmp_path / "doors"), seconds=0)
        assert [line.finished(job_id).state for job_id in (*held, after)] == ["succeeded"] * (PLACES + 1)


def test_a_worker_whose_threads_hang_hands_back_what_it_runs_and_asks_to_be_replaced(
    line: Line, tmp_path: Path
) -> None:
    with line.worker(RINGBACK_WORKER_DRAIN_SECONDS="600", RINGBACK_WORKER_CONCURRENCY="50") as worker:
        running = line.ask("linger", path=str(tmp_path / "attempts"))
        eventually(lambda: notes(tmp_path / "attempts"), "a call to run")
        # Of several tools: of one that has half of them stuck, no more is begun.
        names = itertools.cycle(["oversleep", "oversleep_2", "oversleep_3"])
        hanging = [line.ask(name) for name in itertools.islice(names, MAX_STUCK_THREADS + 1)]
        assert worker.wait(PATIENCE) == FENCED_EXIT
    assert (line.job(running).state, line.job(running).error) == ("pending", {"code": "handed_back"})
    assert {line.job(job_id).state for job_id in hanging} <= {"timed_out", "pending"}
    assert line.workers() == [], "it has signed off"


def test_a_worker_whose_loop_is_held_up_answers_for_that_and_hands_back_the_others(line: Line, tmp_path: Path) -> None:
    with line.worker(RINGBACK_WORKER_DRAIN_SECONDS="600") as worker:
        waiting = line.ask("linger_async", path=str(tmp_path / "attempts"))
        eventually(lambda: notes(tmp_path / "attempts"), "a call to wait on the loop")
        blocking = line.ask("hold_up_the_loop")
        assert worker.wait(PATIENCE) == FENCED_EXIT
    assert line.job(blocking).state == "timed_out"
    with line.worker():
        assert (line.finished(waiting).state, line.finished(waiting).attempt) == ("succeeded", 2)


def test_a_child_whose_thread_hangs_is_replaced_by_its_pool(line: Line) -> None:
    with line.worker("celery", "-A", "workers.app", "worker", "-P", "prefork", "-c", "1"):
        before = line.finished(line.ask("echo", text="x")).result["pid"]
        line.ask("oversleep")
        eventually(lambda: [row.pid for row in line.workers() if row.pid != before], "another child to register")
        assert line.finished(line.ask("echo", text="x")).result["pid"] != before


@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("tool", ["linger", "linger_async"])
def test_a_cancelled_call_is_left_by_its_worker_and_answered_once(
    line: Line, tmp_path: Path, pool: str, tool: str
) -> None:
    with line.worker("celery", "-A", "workers.app", "worker", "-P", pool, "-c", "2"):
        job_id = line.ask(tool, path=str(tmp_path / "attempts"))
        eventually(lambda: notes(tmp_path / "attempts"), "the call to run")
        line.run(transitions.cancel(job_id, DEFAULT_TENANT, CancelReason.CALLER))
        job = line.finished(job_id)
        assert line.finished(line.ask("echo", text="x")).state == "succeeded", "the worker goes on"
        told = 2 if tool == "linger_async" else 1  # and no second attempt
        eventually(lambda: len(notes(tmp_path / "attempts")) == told, "the tool to hear of it")
    assert (job.state, job.error["code"], job.attempt, job.cancel_reason) == ("cancelled", "cancelled", 1, "caller")
    assert line.steps(job_id) == ["pending/none", "running/none", "cancelled/ready"]


def test_a_progress_note_rings_the_gateway_while_the_call_runs(line: Line) -> None:
    with line.worker():
        job_id = line.ask("report", note="halfway")
        eventually(lambda: line.job(job_id).progress == "halfway", "the note")
        eventually(lambda: line.rung() == [str(line.session)], "the doorbell")
        assert line.job(job_id).state == "running"
