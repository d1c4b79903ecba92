"""Tools that keep a ledger outside of the database, on disk before it counts, and that may kill their own worker.

RINGBACK_TEST_LEDGER names the folder. `dies` says where a job takes its process with it, the first time only:
"claimed" (between the claim and the start of the tool), "begun" (before the effect) or "done" (after the effect).
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from threading import Event
from typing import Annotated, Any

from pydantic import AfterValidator

from ringback import Call, tool
from tests.guarantees.toolbox import FOLDER, GO, LOOK_SECONDS

LEDGER = "ledger"


def note(folder: Path, *words: object) -> None:
    """Append a line; it is on disk when this returns."""
    ledger = os.open(folder / LEDGER, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(ledger, f"{' '.join(map(str, words))}\n".encode())
        os.fsync(ledger)
    finally:
        os.close(ledger)


def _die_once(name: str) -> None:
    """Kill this process, unless it was done under this name before."""
    try:
        os.close(os.open(Path(os.environ[FOLDER]) / f"died-{name}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _dies_as_it_is_read(where: str) -> str:
    """Arguments are read after the claim and before the tool is called."""
    place, _, name = where.partition(":")
    if place == "claimed":
        _die_once(name)
    return where


Death = Annotated[str, AfterValidator(_dies_as_it_is_read)]
"""`place:name`: where to die, and the name under which it is done once; empty: nowhere."""


@tool(queue="trade", timeout=60, retries=0, effect="pure")
def reckon(call: Call, n: int = 0, seconds: float = 0.0, dies: Death = "", waits: bool = False) -> dict[str, Any]:
    """Reckon something: doing it twice harms nobody."""
    return _work(call, n, seconds, dies, waits)


@tool(queue="trade", timeout=60, retries=0, effect="idempotent")
def book(call: Call, n: int = 0, seconds: float = 0.0, dies: Death = "", waits: bool = False) -> dict[str, Any]:
    """Book something under the call's own key."""
    return _work(call, n, seconds, dies, waits)


@tool(queue="trade", timeout=60, retries=0, effect="at_most_once")
def pay(call: Call, n: int = 0, seconds: float = 0.0, dies: Death = "", waits: bool = False) -> dict[str, Any]:
    """Pay something: it must never be done twice."""
    return _work(call, n, seconds, dies, waits)


@tool(queue="trade", timeout=900, retries=0, effect="pure")
def drudge(call: Call, seconds: float = 0.0) -> dict[str, Any]:
    """Work for very long, the first time."""
    return _work(call, 0, seconds if call.attempt == 1 else 0.0, "", False)


@tool(queue="trade", timeout=60, retries=0, effect="pure")
def poison(call: Call) -> None:
    """Kill the worker, each time."""
    note(Path(os.environ[FOLDER]), call.job_id, call.attempt, os.getpid(), "begun")
    os.kill(os.getpid(), signal.SIGKILL)


@tool(queue="trade", timeout=120, retries=0, effect="pure")
def compute(seconds: float) -> int:
    """Compute for so long by the clock on the wall, and share the interpreter as Python code does."""
    total, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        total += sum(number * number for number in range(100))
    return total


@tool(queue="trade", timeout=60, retries=0, effect="pure")
def hold(seconds: float) -> float:
    """Keep the interpreter to itself, as C code that computes does."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return seconds


def _work(call: Call, n: int, seconds: float, dies: str, waits: bool) -> dict[str, Any]:
    folder = Path(os.environ[FOLDER])
    place, _, name = dies.partition(":")
    note(folder, call.job_id, call.attempt, os.getpid(), "begun")
    if place == "begun":
        _die_once(name)
    note(folder, call.job_id, call.attempt, os.getpid(), "done")
    if place == "done":
        _die_once(name)
    Event().wait(seconds)
    while waits and not (folder / GO).exists():
        Event().wait(LOOK_SECONDS)
    return {"n": n, "attempt": call.attempt}
