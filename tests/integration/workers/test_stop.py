"""Real worker processes that are told to stop: which calls finish, which are handed back, and that the processes
end.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.toolbox.line import CELERY, Line, end, ends_within, eventually

POOLS = {"threads": CELERY, "prefork": (*CELERY, "-P", "prefork", "-c", "2")}
GRACE_SECONDS = 5.0
"""Seconds that a worker may need beyond its drain."""
HANGS = "tests.integration.toolbox.errands,tests.integration.toolbox.hanging"

pytestmark = pytest.mark.long
pools = pytest.mark.parametrize("argv", POOLS.values(), ids=POOLS)


def notes(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def stop(worker: subprocess.Popen[str], drain: float, *, group: bool = False) -> int | None:
    """Ask it to stop; return its exit code. None: it takes longer than it promised."""
    if group:
        os.killpg(worker.pid, signal.SIGTERM)
    else:
        worker.send_signal(signal.SIGTERM)
    return ends_within(worker, drain + GRACE_SECONDS)


@pools
@pytest.mark.parametrize("tool", ["nap", "doze"])
@pytest.mark.parametrize("group", [False, True], ids=["told alone", "told with its group"])
def test_a_short_call_finishes_before_the_worker_ends(
    line: Line, argv: tuple[str, ...], tool: str, group: bool
) -> None:
    with line.worker(*argv) as worker:
        job_id = line.ask(tool, seconds=1.5)
        line.running(job_id)
        assert stop(worker, 1.5, group=group) == 0
    assert (line.job(job_id).state, line.job(job_id).attempt) == ("succeeded", 1)
    assert line.workers() == [], "it has signed off"


@pools
def test_a_platform_that_remaps_the_signal_costs_no_call(line: Line, argv: tuple[str, ...]) -> None:
    """By REMAP_SIGTERM, Celery kills what runs at the first SIGTERM."""
    with line.worker(*argv, REMAP_SIGTERM="SIGQUIT") as worker:
        job_id = line.ask("nap", seconds=1.5)
        line.running(job_id)
        assert stop(worker, 1.5) == 0
    assert (line.job(job_id).state, line.job(job_id).attempt) == ("succeeded", 1)


@pools
@pytest.mark.parametrize("tool", ["linger", "linger_async"])
def test_a_long_call_is_handed_back_and_another_worker_runs_it(
    line: Line, tmp_path: Path, argv: tuple[str, ...], tool: str
) -> None:
    path = tmp_path / "attempts"
    with line.worker(*argv, RINGBACK_WORKER_DRAIN_SECONDS="0.5") as first:
        job_id = line.ask(tool, path=str(path))
        eventually(lambda: notes(path), "the tool to begin")
        with line.worker() as second:
            assert stop(first, 0.5) == 0
            job = line.finished(job_id)
            assert (job.state, job.result, job.rescues) == ("succeeded", 2, 0)
            assert notes(path)[-1] == f"2 {second.pid}"


@pools
def test_an_effect_that_may_have_happened_is_unknown_and_its_gateway_is_rung(
    line: Line, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    path = tmp_path / "attempts"
    with line.worker(*argv, RINGBACK_WORKER_DRAIN_SECONDS="0.5") as worker:
        job_id = line.ask("linger_once", path=str(path))
        eventually(lambda: notes(path), "the tool to begin")
        assert stop(worker, 0.5) == 0
    job = line.job(job_id)
    assert (job.state, job.error["code"], job.delivery) == ("unknown", "outcome_unknown", "ready")
    assert line.rung() == [str(line.session)]


@pools
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hands_back_at_once(
    line: Line, tmp_path: Path, argv: tuple[str, ...], second: signal.Signals
) -> None:
    path = tmp_path / "attempts"
    with line.worker(*argv, RINGBACK_WORKER_DRAIN_SECONDS="600") as worker:
        job_id = line.ask("linger", path=str(path))
        eventually(lambda: notes(path), "the tool to begin")
        worker.send_signal(signal.SIGTERM)

        def ends() -> bool:
            worker.send_signal(second)  # two of a kind may arrive as one
            return worker.poll() is not None

        eventually(ends, "the worker to end long before its drain does")
        assert worker.returncode == 0
    assert (line.job(job_id).state, line.job(job_id).error) == ("pending", {"code": "handed_back"})


@pools
def test_a_worker_ends_although_celery_never_does(line: Line, argv: tuple[str, ...]) -> None:
    with line.worker(*argv, RINGBACK_TOOL_MODULES=HANGS) as worker:
        assert line.finished(line.ask("echo", text="before")).state == "succeeded"
        assert stop(worker, 0.0) == 0
    assert line.workers() == []


def test_children_of_a_killed_parent_work_on_for_nobody(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    with line.worker(*POOLS["prefork"]) as worker:
        job_id = line.ask("linger", path=str(path))
        eventually(lambda: notes(path), "the tool to begin")
        child = int(notes(path)[0].split()[1])
        worker.kill()
        worker.wait()
        eventually(lambda: not is_running(child), "the child to end")
        end(worker)
    with line.worker():
        assert line.finished(job_id).attempt == 2


def is_running(pid: int) -> bool:
    """Return whether the process runs; False if it is gone, or has exited and was not reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
