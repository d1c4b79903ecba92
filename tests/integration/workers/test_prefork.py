"""Real workers with a pool of processes: tools that hang cost a child each, tools that compute run side by side."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select, update

from ringback.tables import jobs, processes
from tests.integration.toolbox.firstborn import MARK
from tests.integration.toolbox.line import Line, eventually

OURS = ("cli", "worker", "--queues", "errands", "--pool", "prefork", "--concurrency", "2")
MISCHIEF = "tests.integration.toolbox.errands,tests.integration.toolbox.mischief"
HUNG = ["burn", "oversleep", "oversleep_2", "burn"]


def children_that_ended(line: Line) -> int:
    with line.engine.connect() as connection:
        ended = select(func.count()).where(processes.c.kind == "worker", processes.c.ended_at.is_not(None))
        return int(connection.execute(ended).scalar_one())


@pytest.mark.long  # four children that hang, each until its time is over
def test_a_child_whose_tool_hangs_is_replaced_and_every_other_call_is_answered(line: Line) -> None:
    with line.worker(*OURS, RINGBACK_TOOL_MODULES=MISCHIEF) as worker:
        hung = [line.ask(name) for name in HUNG]
        others = [line.ask("echo", text=str(number)) for number in range(6)]
        line.run(
            update(jobs).values(deadline_at=func.now() + timedelta(hours=1))
        )  # two that burn starve a small machine
        assert {line.finished(job).state for job in hung} == {"timed_out"}
        assert {line.finished(job).state for job in others} == {"succeeded"}
        eventually(lambda: children_that_ended(line) == len(HUNG), "each hung call to have ended its child")
        eventually(lambda: len(psutil.Process(worker.pid).children()) == 2, "as many children as calls at once")
        assert worker.poll() is None


def test_tools_that_compute_run_in_processes_of_their_own(line: Line, tmp_path: Path) -> None:
    with line.worker(*OURS, RINGBACK_TOOL_MODULES=MISCHIEF) as worker:
        asked = [line.ask("compute", folder=str(tmp_path), number=2) for _ in range(2)]
        pids = {line.finished(job).result for job in asked}
        assert pids <= {child.pid for child in psutil.Process(worker.pid).children()}
    assert len(pids) == 2


def test_a_child_that_ends_before_the_pool_is_ready_is_replaced(line: Line, tmp_path: Path) -> None:
    modules = "tests.integration.toolbox.errands,tests.integration.toolbox.firstborn"
    mark = {MARK: str(tmp_path / "mark")}
    with line.worker(*OURS, RINGBACK_TOOL_MODULES=modules, **mark) as worker:
        assert line.finished(line.ask("echo", text="x")).state == "succeeded"
        eventually(lambda: len(line.workers()) == 2, "both children to be there")
        assert worker.poll() is None
    assert Path(mark[MARK]).exists()
