"""Real workers whose tools harm their process: it survives, or ends at once, and no call is lost."""

from __future__ import annotations

import os
import signal

import pytest

from tests.integration.toolbox.line import CELERY, PATIENCE, Line
from workers.leases.lease import FENCED_EXIT

TOOLS = "tests.integration.toolbox.errands,tests.integration.toolbox.mischief"


def test_a_worker_survives_tools_that_stop_its_loop_or_take_its_signals(line: Line) -> None:
    with line.worker(*CELERY, RINGBACK_TOOL_MODULES=TOOLS) as worker:
        meanwhile = line.ask("nap", seconds=1)
        for name in ("exit_in_background", "stop_loop"):
            assert line.finished(line.ask(name)).result == "still here"
        for name in ("close_loop", "take_signals", "take_signals_on_the_loop"):
            job = line.finished(line.ask(name))
            assert (job.state, job.error["code"]) == ("failed", "tool_failed")
        assert line.finished(meanwhile).result == 1, "what else ran on the loop goes on"
        assert line.finished(line.ask("echo_async", text="after it")).result == "after it"
        assert line.finished(line.ask("echo", text="x")).result["pid"] == worker.pid
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "harm", [("break_loop", {}), ("end_thread", {"thread_name": "sweeper"})], ids=lambda harm: harm[0]
)
def test_a_worker_that_cannot_go_on_ends_at_once_and_hands_back_what_it_runs(
    line: Line, harm: tuple[str, dict[str, str]]
) -> None:
    name, arguments = harm
    with line.worker(*CELERY, RINGBACK_TOOL_MODULES=TOOLS) as worker:
        under_way = line.ask("nap", seconds=4)
        line.running(under_way)
        line.ask(name, **arguments)
        assert worker.wait(PATIENCE) == FENCED_EXIT
        assert line.job(under_way).error == {"code": "handed_back"}
    with line.worker(*CELERY):
        assert line.finished(under_way).state == "succeeded"
        assert line.finished(line.ask("echo_async", text="after it")).result == "after it"
