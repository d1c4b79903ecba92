"""Real worker processes that are killed, fed with garbage, or cut off."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from ringback.redis.broker import TASK
from tests.integration.toolbox.line import CELERY, PATIENCE, Line, end, eventually

PREFORK = (*CELERY, "-P", "prefork", "-c", "2")


def attempts(path: Path) -> list[list[str]]:
    """Return `[attempt, pid]` for each time the tool began."""
    return [entry.split() for entry in path.read_text().splitlines()] if path.exists() else []


def test_a_job_of_a_killed_worker_is_taken_over_by_another(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    with line.worker() as first, line.worker():
        job_id = line.ask("linger", path=str(path))
        eventually(lambda: attempts(path), "the tool to begin")
        if attempts(path)[0][1] == str(first.pid):
            end(first)
        else:
            os.kill(int(attempts(path)[0][1]), signal.SIGKILL)
        job = line.finished(job_id)
    assert (job.state, job.attempt, job.result) == ("succeeded", 2, 2)
    assert [attempt for attempt, _ in attempts(path)] == ["1", "2"]


def test_a_child_that_is_killed_alone_has_its_job_taken_over(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    with line.worker(*PREFORK) as worker:
        job_id = line.ask("linger", path=str(path))
        eventually(lambda: attempts(path), "the tool to begin")
        os.kill(int(attempts(path)[0][1]), signal.SIGKILL)
        assert line.finished(job_id).attempt == 2
        assert worker.poll() is None


def test_an_at_most_once_tool_of_a_killed_worker_is_unknown_and_never_run_again(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    with line.worker() as worker:
        job_id = line.ask("linger_once", path=str(path))
        eventually(lambda: attempts(path), "the tool to begin")
        end(worker)
    with line.worker():
        job = line.finished(job_id)
        line.publish(job_id)
        assert line.finished(line.ask("echo", text="after it")).state == "succeeded"
    assert (job.state, job.error["code"], job.attempt) == ("unknown", "outcome_unknown", 1)
    assert len(attempts(path)) == 1


@pytest.mark.parametrize("argv", [CELERY, PREFORK], ids=["threads", "prefork"])
def test_a_sync_tool_out_of_time_frees_its_slot(line: Line, argv: tuple[str, ...]) -> None:
    with line.worker(*argv[:6], *argv[6:8], "-c", "1"):
        late = line.ask("oversleep")
        next_one = line.ask("echo", text="next")
        assert line.finished(late).state == "timed_out"
        assert line.finished(next_one).state == "succeeded"


def test_a_process_that_lost_its_lease_ends_itself_with_the_code_for_start_me_again(line: Line) -> None:
    with line.worker() as worker:
        job_id = line.ask("nap", seconds=20)
        line.running(job_id)
        line.run(text("UPDATE processes SET ended_at = clock_timestamp() WHERE kind = 'worker'"))
        assert worker.wait(PATIENCE) == 75
    job = line.job(job_id)
    assert (job.state, job.error) in [("running", None), ("dead", {"code": "worker_lost"})], "it wrote an outcome"


GARBAGE: dict[str, dict[str, Any]] = {
    "no arguments": {"args": []},
    "no id": {"args": ["'; DROP TABLE jobs"]},
    "not even text": {"args": [{"a": [1]}]},
    "an unknown job": {"args": [str(uuid4())]},
    "more than an id": {"args": [str(uuid4()), 1, 2], "kwargs": {"queue": "x"}},
    "pickle": {"args": ["x"], "serializer": "pickle"},
    "yaml": {"args": ["x"], "serializer": "yaml"},
}


@pytest.mark.parametrize("argv", [CELERY, PREFORK], ids=["threads", "prefork"])
def test_garbage_in_the_queue_leaves_the_worker_alive(line: Line, argv: tuple[str, ...]) -> None:
    with line.worker(*argv) as worker:
        for message in GARBAGE.values():
            line.celery.send_task(TASK, queue="errands", retry=False, **message)
        line.celery.send_task("no.such.task", args=["x"], queue="errands", retry=False)
        eventually(lambda: line.redis.llen("ringback:errands") == 0, "the garbage to be consumed")
        assert line.finished(line.ask("echo", text="still here")).state == "succeeded"
        assert worker.poll() is None
