"""Processes that get a fifth of a core, without a cgroup: they are frozen and thawed ten times a second."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

PERIOD_SECONDS = 0.1
"""As the kernel's own quota counts (cpu.max)."""
SHARE = 0.2


@contextmanager
def a_fifth_of_a_core(*pids: int) -> Iterator[None]:
    """Let each run for SHARE of a period; all of them run again when the context ends."""
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
