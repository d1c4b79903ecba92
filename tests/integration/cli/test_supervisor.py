"""Several processes of one command: real forks, which tests kill and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.forked import popen

ROOT = Path(__file__).parents[3]
SCRIPT = """
import os, signal, sys, time
from cli.supervisor import fork_processes
from ringback.config import logs

def say(words):
    os.write(1, (words + os.linesep).encode())  # in one piece, among the lines of others

logs.configure()
{before}
fork_processes(2, {stop_seconds}, lambda: say("stopping"))
{first}
say(f"up {{os.getpid()}}")
while True:
    time.sleep(0.1)  # a signal that comes just before `signal.pause` would not end it
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
LEAVES = "signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))"
HEARS = """
def end(*_):
    say("heard")
    signal.signal({which:d}, signal.SIG_DFL)
    signal.raise_signal({which:d})
signal.signal({which:d}, end)
"""
NO_THIRD_FORK = """
forks, real = [], os.fork
def fork():
    forks.append("asked for")
    if len(forks) == 3:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return real()
os.fork = fork
"""
ONE_CANNOT_WORK = """
try:
    os.mkdir({place!r})
except FileExistsError:
    sys.exit(2)
"""

pytestmark = pytest.mark.timeout(60)


class Family:
    """A parent with its children, by their output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.parent = process
        self.children: list[int] = []
        self.lines: list[str] = []

    def read_until(self, words: str) -> str:
        assert self.parent.stdout
        for line in self.parent.stdout:
            self.lines.append(line)
            if line.startswith("up "):
                self.children.append(int(line.split()[1]))
            if words in line:
                return line
        raise AssertionError(f"no line has {words!r}: {self.lines}")

    def read_to_the_end(self) -> str:
        assert self.parent.stdout
        self.lines += self.parent.stdout
        return "".join(self.lines)

    def living(self) -> list[int]:
        return [pid for pid in self.children if psutil.pid_exists(pid)]


@contextmanager
def family(*, before: str = "", first: str = "", stop_seconds: float = 30, ups: int = 2) -> Iterator[Family]:
    """Start a parent that runs `before`, and whose children run `first` and say that they are up."""
    script = SCRIPT.format(before=before, first=first, stop_seconds=stop_seconds)
    argv, env = [sys.executable, "-c", script], {**os.environ, "PYTHONPATH": str(ROOT)}
    process = popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    family = Family(process)
    try:
        for _ in range(ups):
            family.read_until("up ")
        yield family
    finally:
        for pid in (process.pid, *family.children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_reaches_each_child_once_and_the_parent_ends_by_it(which: signal.Signals) -> None:
    with family(first=HEARS.format(which=which)) as those:
        those.parent.send_signal(which)
        text = those.read_to_the_end()
        assert those.parent.wait() == -which
        assert (text.count("heard\n"), text.count("stopping\n")) == (2, 1)
        assert those.living() == []


def test_a_child_that_is_killed_is_replaced_and_the_other_stays() -> None:
    with family() as those:
        killed, other = those.children
        os.kill(killed, signal.SIGKILL)
        assert f"process {killed} ended by SIGKILL; starting another in 1 s" in those.read_until("starting another")
        those.read_until("up ")
        new = those.children[-1]
        assert those.living() == [other, new]
        those.parent.terminate()
        assert those.parent.wait() == -signal.SIGTERM
        assert those.living() == []


def test_a_system_that_lets_no_process_begin_is_asked_again_and_the_other_child_stays() -> None:
    """Where a child was killed for want of memory, there may be none for the next one either."""
    with family(before=NO_THIRD_FORK) as those:
        killed, other = those.children
        os.kill(killed, signal.SIGKILL)
        those.read_until("no process can be started (Resource temporarily unavailable); trying again after a pause")
        those.read_until("up ")
        assert those.living() == [other, those.children[-1]]
        those.parent.terminate()
        assert those.parent.wait() == -signal.SIGTERM
        assert those.living() == []


def test_a_child_is_replaced_although_the_lifeline_has_died() -> None:
    with family() as those:
        (shell,) = (each for each in psutil.Process(those.parent.pid).children() if each.pid not in those.children)
        shell.kill()
        while shell.status() != psutil.STATUS_ZOMBIE:  # then its end of the pipe is closed
            time.sleep(0.01)
        killed, other = those.children
        os.kill(killed, signal.SIGKILL)
        those.read_until("up ")
        assert those.living() == [other, those.children[-1]]
        those.parent.terminate()
        assert those.parent.wait() == -signal.SIGTERM


def test_a_child_that_is_told_to_end_is_replaced_too() -> None:
    with family(first=LEAVES.format(code=0)) as those:
        os.kill(those.children[0], signal.SIGTERM)
        those.read_until("ended with exit code 0; starting another")
        those.read_until("up ")
        those.parent.terminate()
        assert those.parent.wait() == 0


def test_a_setting_that_cannot_work_ends_all_with_2_and_no_child_is_started_again(tmp_path: Path) -> None:
    with family(first=ONE_CANNOT_WORK.format(place=str(tmp_path / "taken")), ups=1) as those:
        text = those.read_to_the_end()
        assert those.parent.wait() == 2
        assert text.count("ended with exit code 2: its settings cannot work; stopping all") == 1
        assert "starting another" not in text
        assert those.living() == []


def test_the_first_fault_of_a_child_that_was_told_to_end_is_the_exit_code() -> None:
    with family(first=LEAVES.format(code=70)) as those:
        those.parent.terminate()
        assert those.parent.wait() == 70


def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    with family(first=DEAF, stop_seconds=0.2) as those:
        those.parent.terminate()
        assert "not ended 0.2 s after the signal; killing it" in those.read_to_the_end()
        assert those.parent.wait() == 128 + signal.SIGKILL
        assert those.living() == []


@pytest.mark.parametrize("first", ["", DEAF], ids=["polite", "deaf"])
def test_no_child_outlives_a_parent_that_was_killed(first: str) -> None:
    with family(first=first) as those:
        those.parent.kill()
        those.read_to_the_end()  # it ends when the last child has
        psutil.wait_procs([psutil.Process(pid) for pid in those.living()])
        assert those.living() == []


def test_a_child_leads_a_group_of_its_own_so_that_a_terminal_reaches_the_parent_alone() -> None:
    with family() as those:
        assert [os.getpgid(pid) for pid in those.children] == those.children


def test_lines_of_children_name_their_process() -> None:
    with family(first="import logging; logging.getLogger('here').warning('said')") as those:
        said = [line for line in those.lines if line.endswith("here: said\n")]
        assert {line.split("[")[1].split("]")[0] for line in said} == {str(pid) for pid in those.children}
