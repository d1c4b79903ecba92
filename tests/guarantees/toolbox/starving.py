"""Processes that get a fifth of a core: by the kernel's quota where a cgroup can be made, else by freezing and thawing.

A cgroup takes root, and a cpu controller that this process may divide: in most containers neither is given.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

PERIOD_SECONDS = 0.1
"""Period of the kernel's quota, and of freezing."""
SHARE = 0.2
MICROSECONDS = 1_000_000
CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def a_fifth_of_a_core(*pids: int) -> Iterator[None]:
    """Let each run for SHARE of a period; all of them run freely again when the context ends."""
    with ExitStack() as limits:
        try:
            for pid in pids:
                limits.enter_context(_quota(pid))
        except OSError:
            limits.close()
            limits.enter_context(_frozen_in_turns(pids))
        yield


@contextmanager
def _quota(pid: int) -> Iterator[None]:
    """Move the process, with the children that it will have, into a cgroup of its own below the one of this process.

    Raises:
        OSError: no such cgroup can be made here.
    """
    parent, limits = _cpu_controller()
    group = parent / f"ringback-test-{pid}"
    group.mkdir()
    try:
        for name, value in limits.items():
            (group / name).write_text(value)
        _move([pid], group)
        yield
    finally:
        _move((group / "cgroup.procs").read_text().split(), parent)
        group.rmdir()


def _cpu_controller() -> tuple[Path, dict[str, str]]:
    """Return the cgroup of this process that divides CPU, and the files that set the quota of one below it."""
    period, quota = int(MICROSECONDS * PERIOD_SECONDS), int(MICROSECONDS * PERIOD_SECONDS * SHARE)
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        if "cpu" in controllers.split(","):  # version 1
            return CGROUPS / "cpu" / place[1:], {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(quota)}
    parent = CGROUPS / place[1:]  # version 2 has one hierarchy, and its line is the last
    (parent / "cgroup.subtree_control").write_text("+cpu")
    return parent, {"cpu.max": f"{quota} {period}"}


def _move(pids: list[int] | list[str], group: Path) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(str(pid))


@contextmanager
def _frozen_in_turns(pids: tuple[int, ...]) -> Iterator[None]:
    over = Event()

    def freeze_and_thaw() -> None:
        while not over.wait(PERIOD_SECONDS * SHARE):
            _send(pids, signal.SIGSTOP)
            over.wait(PERIOD_SECONDS * (1 - SHARE))
            _send(pids, signal.SIGCONT)

    thread = Thread(target=freeze_and_thaw, name="freezer")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _send(pids, signal.SIGCONT)


def _send(pids: tuple[int, ...], which: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, which)
