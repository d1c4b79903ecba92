"""What `ringback up` starts again, and when."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.local_stack.process_group import Ended, Process, ProcessGroup
from cli.local_stack.up import FIRST_PAUSE_SECONDS, HEALTHY_SECONDS, LONGEST_PAUSE_SECONDS, Backoff, outlast

BEGAN = 1_000.0
ENDS_TWICE_THEN_FAILS = """
import pathlib, sys
starts = pathlib.Path(sys.argv[1])
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
sys.exit(75 if len(starts.read_text()) < 3 else 4)
"""


def test_each_pause_is_twice_the_one_before_up_to_a_bound() -> None:
    backoff = Backoff(BEGAN)
    pauses = [backoff.pause(BEGAN + 1) for _ in range(8)]
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(("ran", "pause"), [(HEALTHY_SECONDS - 1, 4.0), (HEALTHY_SECONDS, FIRST_PAUSE_SECONDS)])
def test_a_process_that_ran_for_a_while_begins_with_the_first_pause_again(ran: float, pause: float) -> None:
    backoff = Backoff(BEGAN)
    assert [backoff.pause(BEGAN + 1), backoff.pause(BEGAN + 1)] == [1.0, 2.0]
    backoff.started = BEGAN + 10
    assert backoff.pause(BEGAN + 10 + ran) == pause


def test_a_process_that_asks_for_it_is_started_again_and_one_that_fails_ends_the_rest(tmp_path: Path) -> None:
    told: list[str] = []
    waited: list[float] = []
    with ProcessGroup() as group:
        argv = [sys.executable, "-c", ENDS_TWICE_THEN_FAILS, str(tmp_path / "starts")]
        group.start(Process("worker", argv))
        assert outlast(group, told.append, waited.append) == Ended("worker", 4)
    assert waited == [1.0, 2.0]
    assert told[0] == "worker exited with code 75: starting it again in 1 s"
