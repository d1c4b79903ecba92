"""A driver, from here: orders go in, and each is answered when it is done."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.peers_side_by_side.drivers.orders import DONE

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds for one order; the first one waits for all the imports."""
QUIET = {
    "OPENAI_AGENTS_DISABLE_TRACING": "1",  # it would call out
    "LOGURU_LEVEL": "WARNING",  # pipecat writes a line for every frame otherwise
    "PYTHONPATH": str(ROOT),
}


class DriverError(Exception):
    """A driver ended, or did not answer; the text says where its log is."""


class Driver:
    """A program of the drivers' folder, and its life."""

    def __init__(self, python: Path, module: str, argv: tuple[str, str], env: Mapping[str, str], log: Path) -> None:
        self._command = [str(python), "-m", f"benchmarks.peers_side_by_side.drivers.{module}", *argv]
        self._env = {**os.environ, **QUIET, **env}
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def pid(self) -> int:
        """The process, which has been started."""
        assert self._process
        return self._process.pid

    def order(self, do: str, **rest: Any) -> None:
        """Have it done, and wait until it is."""
        self.begin(do, **rest)
        self.finish(do)

    def begin(self, do: str, **rest: Any) -> None:
        """Have it done, and do not wait."""
        assert self._process
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **rest}) + "\n")
            self._process.stdin.flush()

    def finish(self, do: str) -> None:
        """Wait for the end of what was begun."""
        with suppress(queue.Empty):
            while line := self._lines.get(timeout=PATIENCE):
                if line == DONE + do:
                    return
        raise DriverError(f"the driver did not {do}: see {self._log}")

    def start(self) -> None:
        """Begin a process; what an earlier one wrote is forgotten."""
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lines = lines
        with self._log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=ROOT,
                text=True,
                start_new_session=True,
            )
        Thread(target=_read, args=(self._process, lines), name="output of the driver", daemon=True).start()

    def kill(self) -> None:
        """kill -9 of its process group."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.rstrip("\n") or " ")
    lines.put("")  # the end


@contextmanager
def running(driver: Driver) -> Iterator[Driver]:
    """It runs for as long as the context lasts."""
    driver.start()
    try:
        yield driver
    finally:
        driver.kill()
