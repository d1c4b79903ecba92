"""Limits over all workers, on a real database: two runtimes stand for two workers that do not know of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, update

from ringback.config.settings import load
from ringback.postgres.connections import execute
from ringback.statements.clock import now, seconds
from ringback.statements.jobs import gates, sweeps
from ringback.statements.jobs import transitions as statements
from ringback.tables import DEFAULT_TENANT, jobs, tool_gates
from tests.integration.toolbox.limited import PLACES
from tests.integration.toolbox.line import PATIENCE, Line, eventually
from tests.integration.toolbox.runtimes import claimed, run_job
from workers.execution.runtime import WorkerRuntime
from workers.settings import WorkerSettings
from workers.tool_registry import load_tools

TOOLS = ["tests.integration.toolbox.errands", "tests.integration.toolbox.limited"]


class Two:
    """Two workers, and what they have published."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.published: list[UUID] = []
        self.stations = [self._runtime(), self._runtime()]

    def _runtime(self) -> WorkerRuntime:
        settings = load(WorkerSettings, DATABASE_URL=self.line.database, REDIS_URL=self.line.redis_url)
        runtime = WorkerRuntime(
            settings, load_tools(TOOLS), ["errands"], lambda job_id, _: self.published.append(job_id)
        )
        runtime.lease.start()  # their sweepers rest: what is published here was published by the gates
        assert runtime.lease.wait(PATIENCE)
        return runtime

    def run(self, tool: str, **arguments: Any) -> Any:
        """Run one call of the tool on one of the two; return its row after that."""
        job_id = self.line.admit(tool, **arguments)
        self.run_again(job_id)
        return self.line.job(job_id)

    def run_again(self, job_id: UUID) -> None:
        self.stations.reverse()
        run_job(self.stations[0], job_id)

    def gate(self, tool: str) -> Any:
        with self.line.engine.connect() as connection:
            return connection.execute(select(tool_gates).where(tool_gates.c.tool == tool)).one()

    def set_gate(self, tool: str, **columns: Any) -> None:
        assert self.line.run(update(tool_gates).where(tool_gates.c.tool == tool).values(**columns)) == 1


@pytest.fixture
def two(database: str, redis_db: str) -> Iterator[Two]:
    line = Line(database, redis_db)
    two = Two(line)
    yield two
    for runtime in two.stations:
        runtime.stop()
    line.close()


def notes(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def begun(function: Callable[[], object]) -> Thread:
    thread = Thread(target=function)
    thread.start()
    return thread


def minutes(number: float) -> Any:
    return now() + seconds(60 * number)


# — how many run at once —


@pytest.mark.parametrize("_", range(5))
def test_however_many_claim_at_once_on_two_workers_no_more_run_than_may(two: Two, _: int) -> None:
    job_ids = [two.line.admit("take_a_place", path="", seconds=0) for _ in range(16)]
    turns = [(two.stations[number % 2], job_id) for number, job_id in enumerate(job_ids)]
    with ThreadPoolExecutor(len(turns)) as threads:
        found = [job for job in threads.map(lambda turn: claimed(*turn), turns) if job]
    assert len(found) == two.line.count("running") == PLACES
    others = [row for row in map(two.line.job, job_ids) if row.state == "pending"]
    assert [(row.put_off, row.attempt) for row in others] == [(True, 0)] * (len(job_ids) - PLACES)


def test_a_call_that_ends_wakes_the_one_that_has_waited_longest(two: Two, tmp_path: Path) -> None:
    one, other = two.stations
    running, first, second = (two.line.admit("alone", path=str(tmp_path / "go")) for _ in range(3))
    thread = begun(lambda: run_job(one, running))
    two.line.running(running)
    for job_id in (second, first):
        run_job(other, job_id)
    far = {"not_before": minutes(1), "publish_after": minutes(1)}
    two.line.run(update(jobs).where(jobs.c.put_off).values(**far))  # neither looks by itself
    (tmp_path / "go").touch()
    thread.join(PATIENCE)
    eventually(lambda: first in two.published, "the first in line to be published")
    for job_id in (second, first):  # a message that comes too early takes no other call's turn
        two.run_again(job_id)
    assert [two.line.job(job_id).state for job_id in (running, first, second)] == ["succeeded", "succeeded", "pending"]
    eventually(lambda: second in two.published, "the next one to be published")
    two.run_again(second)
    assert two.line.job(second).state == "succeeded"


def test_a_call_that_was_put_off_is_published_again_in_time(two: Two, tmp_path: Path) -> None:
    thread = begun(lambda: two.run("alone", path=str(tmp_path / "go")))
    eventually(lambda: two.line.count("running"), "the first to begin")
    waiting = two.run("alone", path=str(tmp_path / "go")).id
    assert two.line.job(waiting).put_off
    eventually(lambda: two.published.count(waiting), "it to be published, though no call has ended")
    (tmp_path / "go").touch()
    thread.join(PATIENCE)


def test_who_comes_new_does_not_pass_who_waits(two: Two) -> None:
    waiting, new = two.line.admit("alone", path="/"), two.line.admit("alone", path="/")
    two.line.run(update(jobs).where(jobs.c.id == waiting).values(put_off=True))
    two.run_again(new)
    assert two.line.job(new).state == "pending"
    two.run_again(waiting)
    assert two.line.job(waiting).state == "succeeded"


def test_the_place_of_a_worker_that_is_gone_is_free_once_its_call_is_taken_back(two: Two) -> None:
    lost, next_one = two.line.admit("alone", path="/"), two.line.admit("alone", path="/")
    two.line.run(statements.claim(lost, "worker-that-is-gone"))
    two.run_again(next_one)
    assert two.line.job(next_one).state == "pending"
    two.line.run(statements.hand_back("worker-that-is-gone"))  # as a sweeper does
    two.line.run(update(jobs).where(jobs.c.id == next_one).values(not_before=None))
    two.run_again(next_one)
    assert two.line.job(next_one).state == "succeeded"


def test_a_process_that_stands_still_at_a_gate_does_not_keep_it(two: Two) -> None:
    one, _ = two.stations
    with suppress(psycopg.Error), one.store.claims.transaction() as held:  # Its commit finds no connection any more.
        execute(held, gates.lock("alone", 1))
        assert two.run("alone", path="/").state == "succeeded", "the other worker got through"
        with pytest.raises(psycopg.InternalError, match="idle-in-transaction"):
            execute(held, select(1))


def test_a_call_that_waits_beyond_its_deadline_is_timed_out(two: Two) -> None:
    two.line.run(statements.claim(two.line.admit("alone", path="/"), two.stations[0].lease.worker_id))
    waiting = two.run("alone", path="/")
    assert (waiting.state, waiting.put_off) == ("pending", True)
    two.line.run(update(jobs).where(jobs.c.id == waiting.id).values(deadline_at=minutes(-1)))
    two.line.run(sweeps.time_out_overdue())
    assert two.line.job(waiting.id).state == "timed_out"


def test_a_tool_without_limits_asks_at_no_gate(two: Two) -> None:
    assert two.run("echo", text="x").state == "succeeded"
    with two.line.engine.connect() as connection:
        assert connection.execute(select(tool_gates)).all() == []


# — how often —


def test_the_second_call_waits_for_its_turn_and_the_third_behind_it(two: Two) -> None:
    assert two.run("seldom").state == "succeeded"
    second, third = two.run("seldom"), two.run("seldom")
    assert [row.state for row in (second, third)] == ["pending", "pending"]
    twenty_minutes = 1_200
    between = (third.not_before - second.not_before).total_seconds()
    assert between == pytest.approx(twenty_minutes, abs=PATIENCE)
    assert (second.not_before - second.created_at).total_seconds() == pytest.approx(twenty_minutes, abs=PATIENCE)


def test_a_turn_that_has_come_is_taken_once(two: Two) -> None:
    two.run("seldom")
    second, third = two.run("seldom").id, two.run("seldom").id
    two.set_gate("seldom", refilled_at=minutes(-21))
    two.line.run(update(jobs).where(jobs.c.put_off).values(not_before=now()))
    for job_id in (third, second, third):
        two.run_again(job_id)
    assert [two.line.job(job_id).state for job_id in (second, third)] == ["succeeded", "pending"]


def test_a_call_whose_turn_comes_after_its_deadline_is_answered_at_once(two: Two) -> None:
    *_, job = (two.run("seldom") for _ in range(4))
    assert (job.state, job.error["code"], job.delivery) == ("failed", "busy", "ready")
    assert "it would be this one's turn in about 3" in job.error["message"]


# — the breaker —


@pytest.mark.parametrize("way", ["break", "later", "hang"])
def test_a_tool_that_failed_as_often_as_it_may_is_not_run_and_the_model_is_told(
    two: Two, tmp_path: Path, way: str
) -> None:
    path = tmp_path / "runs"
    for _ in range(2):
        two.run("fragile", path=str(path), way=way)
    job = two.run("fragile", path=str(path), way="well")
    assert (job.state, job.error["code"], job.delivery) == ("failed", "unavailable", "ready")
    assert "fragile is failing at the moment and is left alone for about 600 s" in job.error["message"]
    assert notes(path) == [way, way]
    assert two.line.rung()[-1] == str(two.line.session)


def test_what_a_tool_says_on_purpose_is_an_answer(two: Two, tmp_path: Path) -> None:
    for way in ("break", "no", "break", "well", "break"):
        two.run("fragile", path=str(tmp_path / "runs"), way=way)
    assert (two.gate("fragile").failures, two.gate("fragile").open_until) == (1, None)


def test_arguments_that_do_not_fit_say_nothing_of_the_tool(two: Two, tmp_path: Path) -> None:
    two.run("fragile", path=str(tmp_path / "runs"), way="break")
    assert two.run("fragile", path="", nonsense=1).error["code"] == "invalid_arguments"
    assert two.gate("fragile").failures == 1


def test_a_cancelled_call_says_nothing_of_the_tool(two: Two, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    job_id = two.line.admit("fragile", path=str(path), way="hang")
    two.line.run(update(jobs).values(timeout=PATIENCE))
    thread = begun(lambda: two.run_again(job_id))
    eventually(lambda: notes(path), "it to begin")
    two.line.run(statements.cancel(job_id, DEFAULT_TENANT))
    thread.join(PATIENCE)
    assert (two.line.job(job_id).state, two.gate("fragile").failures) == ("cancelled", 0)


def opened(two: Two, path: Path) -> None:
    """Open the breaker, and let its time be over."""
    for _ in range(2):
        two.run("fragile", path=str(path), way="break")
    two.set_gate("fragile", open_until=minutes(-1))


@pytest.mark.parametrize(("way", "then"), [("well", "succeeded"), ("no", "succeeded"), ("break", "failed")])
def test_one_call_sees_whether_it_works_again(two: Two, tmp_path: Path, way: str, then: str) -> None:
    opened(two, tmp_path / "runs")
    two.run("fragile", path=str(tmp_path / "runs"), way=way)
    job = two.run("fragile", path=str(tmp_path / "runs"), way="well")
    assert (job.state, (job.error or {}).get("code")) == (then, "unavailable" if then == "failed" else None)


def test_while_one_call_sees_all_others_are_refused(two: Two, tmp_path: Path) -> None:
    opened(two, tmp_path / "runs")
    probe = claimed(two.stations[0], two.line.admit("fragile", path="", way="well"))
    assert probe is not None
    assert probe.is_probe
    assert two.run("fragile", path="", way="well").error["code"] == "unavailable"


def test_a_probe_that_died_with_its_worker_makes_room_for_another(two: Two, tmp_path: Path) -> None:
    opened(two, tmp_path / "runs")
    assert claimed(two.stations[0], two.line.admit("fragile", path="", way="well")) is not None
    two.set_gate("fragile", probe_until=minutes(-1))
    assert two.run("fragile", path=str(tmp_path / "runs"), way="well").state == "succeeded"
    assert two.run("fragile", path=str(tmp_path / "runs"), way="well").state == "succeeded"
