"""What `ringback up` starts again, and when."""

from __future__ import annotations

import sys
from pathlib import Path

from cli.local_stack.process_group import Ended, Process, ProcessGroup
from cli.local_stack.up import outlast

ENDS_TWICE_THEN_FAILS = """
import pathlib, sys
starts = pathlib.Path(sys.argv[1])
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
sys.exit(75 if len(starts.read_text()) < 3 else 4)
"""


def test_a_process_that_asks_for_it_is_started_again_and_one_that_fails_ends_the_rest(tmp_path: Path) -> None:
    told: list[str] = []
    waited: list[float] = []
    with ProcessGroup() as group:
        argv = [sys.executable, "-c", ENDS_TWICE_THEN_FAILS, str(tmp_path / "starts")]
        group.start(Process("worker", argv))
        assert outlast(group, told.append, waited.append) == Ended("worker", 4)
    assert waited == [1.0, 2.0]
    assert told[0] == "worker exited with code 75: starting it again in 1 s"
