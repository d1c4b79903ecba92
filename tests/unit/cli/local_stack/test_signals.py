"""Signals that come at the worst moment: while a child is begun, and while its folder is removed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.signals import SignalWatch, held_back

BEGUN: list[int] = []


class InterruptedStart(subprocess.Popen[Any]):
    """The signal comes when the child is there and its keeper has not heard of it."""

    def __init__(self, *argv: Any, **how: Any) -> None:
        super().__init__(*argv, **how)
        BEGUN.append(self.pid)
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    SignalWatch().install()
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def _begin_interrupted() -> None:
    with ProcessGroup(InterruptedStart) as group:
        group.start(Process("forever", [sys.executable, "-c", "import signal; signal.pause()"]))


def _interrupted_while_held_back(which: signal.Signals, reached: list[str]) -> None:
    with held_back():
        signal.raise_signal(which)
        reached.append("the end")


def test_a_signal_while_a_child_is_begun_leaves_no_child() -> None:
    with pytest.raises(KeyboardInterrupt):
        _begin_interrupted()
    (pid,) = BEGUN
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_held_back_is_heard_at_the_end(which: signal.Signals) -> None:
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _interrupted_while_held_back(which, reached)
    assert reached == ["the end"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(which)


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_back():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_folder_into_which_a_dying_process_still_writes_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    remove, late = shutil.rmtree, iter([True])

    def interrupted(folder: Path, **how: Any) -> None:
        remove(folder, **how)
        if next(late, False):
            folder.mkdir()
            (folder / "late").touch()

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with ProcessGroup() as group:
        folder = group.make_folder()
    assert not folder.exists()
