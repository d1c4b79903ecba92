"""Processes that are started again when they end, as every supervisor does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

from cli.local_stack.process_group import Process, ProcessError, ProcessGroup

RESTART_SECONDS = 0.1
"""A supervisor's pause before it starts again what has ended: systemd's own."""
PATIENCE = 120.0
"""Seconds until the benchmark gives up; nothing here should take a tenth of it."""


class Crew:
    """Started by name, ended by signals, and up again by themselves."""

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self._up: dict[str, Event] = {}
        self._closing = Event()
        self.pids: dict[str, int] = {}

    def start(self, *processes: Process) -> None:
        """Two at a time: most of a start is Python importing things."""
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(self._start, processes))

    def kill(self, name: str) -> None:
        """kill -9 of its process group."""
        self._signal(name, signal.SIGKILL)

    def ask_to_stop(self, name: str) -> None:
        """SIGTERM; it ends in its own time, and is then started again."""
        self._signal(name, signal.SIGTERM)

    def await_up(self, *names: str) -> None:
        for name in names:
            if not self._up[name].wait(PATIENCE):
                raise TimeoutError(f"{name} was not up again within {PATIENCE:g} s")

    def up(self, *names: str) -> list[str]:
        """Those of them that are ready."""
        return [name for name in names if self._up[name].is_set()]

    def close(self) -> None:
        """Nothing is started any more."""
        self._closing.set()

    def supervise(self) -> None:
        """Begin to look after them; the thread ends with the process."""
        Thread(target=self._supervise, name="supervisor", daemon=True).start()

    def _start(self, process: Process) -> None:
        self._up[process.name] = Event()
        self.pids[process.name] = self._group.start(process)
        self._up[process.name].set()

    def _signal(self, name: str, which: signal.Signals) -> None:
        self._up[name].clear()
        os.killpg(self.pids[name], which)

    def _supervise(self) -> None:
        while not self._closing.is_set():
            name = self._group.wait().name
            Thread(target=self._revive, args=(name,), name=f"start of {name}", daemon=True).start()

    def _revive(self, name: str) -> None:
        self._up[name].clear()
        while not self._closing.wait(RESTART_SECONDS):
            try:
                self.pids[name] = self._group.restart(name)
            except ProcessError:  # it was not ready in time, or has ended already: again
                continue
            self._up[name].set()
            return


@contextmanager
def supervised() -> Iterator[Crew]:
    """A crew; all of it ends with the context."""
    with ProcessGroup() as group:
        crew = Crew(group)
        crew.supervise()
        try:
            yield crew
        finally:
            crew.close()
