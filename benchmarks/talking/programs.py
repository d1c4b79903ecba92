"""The load's two programs, from here: an order goes in as a line, and its answer comes back as one."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring.process_use import pin
from benchmarks.measuring.raw_lines import ROOT
from benchmarks.measuring.receipts import insist
from cli.local_stack.process_group import free_port

PATH = "/v1/realtime?model=gpt-realtime"
DRAIN_SECONDS = 60.0
"""Seconds in which a frame that is under way must arrive."""
LOOK_SECONDS = 0.1


class Program:
    """A program of the load's folder, run by a Python that has picows."""

    def __init__(self, python: Path, name: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [str(python), "-m", f"benchmarks.talking.load.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def order(self, do: str, **rest: Any) -> dict[str, Any]:
        """Have it done, and return the answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **rest}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the load's {self._name} ended at the order {do!r}: its error stands above")
        return dict(json.loads(line))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Load:
    """The callers and the model, and where the model listens."""

    callers: Program
    model: Program
    port: int

    @property
    def model_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}"

    @property
    def pids(self) -> dict[str, int]:
        """The processes of the load, by name."""
        return {"callers": self.callers.pid, "model": self.model.pid}

    def talk(self, sessions: int, tool: str = "", *, together: bool = False, first: int = 0) -> None:
        self.model.order("talk", number=sessions, tool=tool, together=together, first=first)
        self.callers.order("talk", number=sessions, first=first)

    def mark(self) -> int:
        """Begin to collect latencies anew; return how many frames the callers have sent by then."""
        self.model.order("mark")
        return int(self.callers.order("mark")["sent"])

    def leave(self) -> None:
        """End all sessions, and wait until the model has seen each of them end."""
        self.callers.order("leave")
        while self.model.order("report")["open"]:
            time.sleep(LOOK_SECONDS)

    def report(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the callers and the model count so far."""
        return self.callers.order("report"), self.model.order("report")

    def hush(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """End all talk; each frame that was sent must have come to the far side, in both directions."""
        self.callers.order("hush")
        self.model.order("hush")
        give_up = time.monotonic() + DRAIN_SECONDS
        while True:
            callers, model = self.report()
            sent = {"to the model": callers["sent"], "audio": model["sent"], "words": model["words"]}
            came = {"to the model": model["heard"], "audio": callers["heard"], "words": callers["words"]}
            if sent == came or time.monotonic() > give_up:
                break
            time.sleep(LOOK_SECONDS)
        insist("frames that came to the far side", came, sent)
        insist("frames were sent both ways", all(sent.values()), True)
        insist("sessions that ended by themselves", callers["ended"], 0)
        return callers, model


@contextmanager
def running_load(python: Path, cores: set[int]) -> Iterator[Load]:
    """Run both programs while the context lasts, on these cores."""
    port = free_port()
    programs = [Program(python, name) for name in ("callers", "model")]
    try:
        load = Load(programs[0], programs[1], port)
        load.model.order("serve", port=port)
        load.callers.order("report")
        pin([psutil.Process(program.pid) for program in programs], cores)
        yield load
    finally:
        for program in programs:
            program.close()
