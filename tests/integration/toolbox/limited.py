"""Tools that bear only so much. A worker finds them by RINGBACK_TOOL_MODULES=tests.integration.toolbox.limited."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ringback import Call, ToolError, tool
from ringback.tools.decorator import Breaker

PLACES = 3


def _tell(path: str, words: str) -> None:
    """One line, whole, whoever else writes."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{words}\n".encode())
    os.close(file)


@tool(queue="errands", timeout=60, concurrency=PLACES)
def take_a_place(path: str, seconds: float) -> str:
    """Say that it is inside, and that it leaves."""
    _tell(path, "in")
    threading.Event().wait(seconds)
    _tell(path, "out")
    return "served"


@tool(queue="errands", timeout=60, concurrency=1)
def alone(path: str, call: Call) -> str:
    """Be inside until a file is there, or nobody waits."""
    while not Path(path).exists() and not call.cancelled:
        threading.Event().wait(0.02)
    return "served"


@tool(queue="errands", timeout=3_000, rate="3/h")
def seldom() -> str:
    """Twenty minutes have to lie between two of these."""
    return "served"


@tool(queue="errands", timeout=0.5, breaker=Breaker(failures=2, seconds=600))
def fragile(path: str, way: str, call: Call) -> str:
    """Say that it was run, and end in one way or another."""
    _tell(path, way)
    if way == "no":
        raise ToolError("There is no such order.")
    if way == "later":
        raise ToolError("It is busy.", retryable=True)
    if way == "break":
        raise OSError("no route")
    while way == "hang" and not call.cancelled:
        threading.Event().wait(0.02)
    return "served"
