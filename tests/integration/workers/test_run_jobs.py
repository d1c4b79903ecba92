"""A job's row and its message, through a real worker process, for each way to start a worker."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from ringback.errors import ConfigurationError
from tests.forked import run
from tests.integration.toolbox.line import CELERY, PATIENCE, ROOT, Line, eventually
from workers.lifecycle.process import WorkerProcess

STARTS = {
    "celery, threads": CELERY,
    "celery, prefork": (*CELERY, "-P", "prefork", "-c", "2"),
    "celery, solo": (*CELERY, "-P", "solo"),
    "celery, no queues": CELERY[:4],
    "ringback, threads": ("tests.integration.toolbox.start",),
    "ringback, prefork": ("tests.integration.toolbox.start", "prefork"),
}


@pytest.mark.parametrize("argv", STARTS.values(), ids=STARTS)
def test_a_published_job_succeeds_rings_the_gateway_and_the_worker_ends_when_told(
    line: Line, argv: tuple[str, ...]
) -> None:
    with line.worker(*argv) as worker:
        for tool in ("echo", "echo_async"):
            job = line.finished(line.ask(tool, text="hello"))
            assert (job.state, job.delivery, job.attempt) == ("succeeded", "ready", 1), job.error
        eventually(lambda: len(line.rung()) == 2, "two rings")
        assert set(line.rung()) == {str(line.session)}

        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
    # A prefork pool may end a child before it signs off; its lease, of three seconds, ends all the same.
    eventually(lambda: not line.workers(), "nobody is announced any more")


def test_a_tool_hears_who_asks_and_which_attempt_it_is(line: Line) -> None:
    with line.worker() as worker:
        job = line.finished(line.ask("echo", text="hello"))
    assert job.result == {"text": "hello", "user": "ada", "attempt": 1, "pid": worker.pid}


def test_the_pool_that_was_asked_for_is_the_pool_that_runs(line: Line) -> None:
    with line.worker(*STARTS["celery, prefork"]) as worker:
        assert line.finished(line.ask("echo", text="")).result["pid"] != worker.pid
        assert worker.pid not in {row.pid for row in line.workers()}, "each child has a lease, the parent none"


def test_a_job_that_was_never_published_is_swept_and_run(line: Line) -> None:
    with line.worker():
        assert line.finished(line.admit("echo", text="forgotten")).state == "succeeded"


def test_a_worker_announces_the_tools_of_the_queues_it_serves_and_no_others(line: Line) -> None:
    with line.worker("tests.integration.toolbox.start", "threads", "slow"):
        (row,) = line.workers()
        assert row.queues == ["slow"]
        slow = line.ask("elsewhere")
        other = line.ask("echo", text="")
        assert line.finished(slow).state == "succeeded"
        assert line.job(other).state == "pending"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is not usable: must look like postgresql://"),
        ({"REDIS_URL": "http://x"}, "REDIS_URL is not usable: must look like redis://"),
        ({"RINGBACK_TOOL_MODULES": "no.such.module"}, "RINGBACK_TOOL_MODULES names no.such.module"),
        ({"RINGBACK_TOOL_MODULES": "tests.integration.toolbox.line,json"}, "holds no tool"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_sentence(
    line: Line, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    for name, value in {**line.environment(), **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        WorkerProcess(line.publish).prepare()
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("start", ["celery, threads", "ringback, threads"])
def test_a_worker_whose_settings_are_refused_writes_the_sentence_and_ends_with_exit_code_2(
    line: Line, start: str
) -> None:
    outcome = run(
        [sys.executable, "-W", "ignore", "-m", *STARTS[start]],
        cwd=ROOT,
        env={**line.environment(), "PATH": "", "RINGBACK_TOOL_MODULES": "no.such.module"},
        timeout=PATIENCE,
    )
    assert (outcome.returncode, outcome.stderr.count("\n")) == (2, 1), outcome.stderr
    assert "RINGBACK_TOOL_MODULES names no.such.module" in outcome.stderr


def test_help_needs_no_settings() -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", *CELERY[:4], "--help"],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "Usage:" in outcome.stdout
