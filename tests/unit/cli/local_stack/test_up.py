"""What `ringback up` starts again, and when."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import pytest

from cli.local_stack.process_group import Process, ProcessError, ProcessGroup
from cli.local_stack.up import outlast

FAILS_TWICE_AND_IS_THEN_NEVER_READY = """
import pathlib, sys, time
starts = pathlib.Path(sys.argv[1])
count = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (count + 1))
while not starts.with_suffix(f".{count}").exists():  # until it was asked whether it is ready
    time.sleep(0.01)
sys.exit([75, 4, 1, 3][count])
"""


def test_what_ends_is_started_again_after_a_pause_until_it_does_not_get_ready(tmp_path: Path) -> None:
    told: list[str] = []
    waited: list[float] = []
    noted: list[tuple[str, str]] = []
    looks = count()

    def note(process: str, what: str) -> None:
        noted.append((process, what))

    def is_ready() -> bool:
        look = next(looks)
        (tmp_path / f"starts.{look}").touch()
        return look < 3

    with ProcessGroup() as group:
        argv = [sys.executable, "-c", FAILS_TWICE_AND_IS_THEN_NEVER_READY, str(tmp_path / "starts")]
        group.start(Process("worker", argv, ready=is_ready))
        with pytest.raises(ProcessError, match="worker exited with code 3 before it was ready"):
            outlast(group, told.append, note, waited.append)
    assert waited == [1.0, 2.0, 4.0]
    assert told[:2] == [
        "worker exited with code 75: starting it again in 1 s",
        "worker exited with code 4: starting it again in 2 s",
    ]
    assert noted[0] == ("worker", told[0])
