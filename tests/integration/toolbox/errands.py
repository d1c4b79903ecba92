"""Tools with every way to end. A worker finds them by RINGBACK_TOOL_MODULES=tests.integration.toolbox.errands."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_serializer, field_validator

from ringback import Call, ToolError, tool

AGES = 3_000
"""Seconds that no test waits for."""


@tool(queue="errands")
def echo(text: str, call: Call) -> dict[str, Any]:
    """Say the same, and who asked."""
    return {"text": text, "user": call.user, "attempt": call.attempt, "pid": os.getpid()}


@tool(queue="errands")
async def echo_async(text: str) -> str:
    """Say the same, on the loop."""
    return text


@tool(queue="errands", retries=1)
def tell_a_story(text: str, ending: str, call: Call) -> str:
    """Leave a line for operators, and end in one way or another."""
    call.summary("not this one")
    call.summary(text)
    if ending == "break":
        raise OSError("no route")
    return f"{call.idempotency_key} {call.rerun_of}"


class Detached:
    """Stands for a row of an ORM whose connection is closed: it can no longer be read."""

    connected = True

    def __str__(self) -> str:
        if not self.connected:
            raise LookupError("the row is detached")
        return "order 7"


@tool(queue="errands", retries=1)
def tell_of_a_row(is_read: bool, call: Call) -> str:
    """Leave a line for operators that is an object, which can be read until the function returns, or not at all."""
    row = Detached()
    row.connected = is_read
    call.summary(row)  # type: ignore[arg-type]
    row.connected = False
    return "done"


@tool(queue="errands", timeout=30)
async def nap(seconds: float) -> float:
    """Wait a while."""
    await asyncio.sleep(seconds)
    return seconds


_inside = 0


@tool(queue="errands", timeout=120)
async def gather(path: str, number: int) -> int:
    """Wait on the loop until so many are inside at once, and one of them has said so in a file; how many there were."""
    global _inside
    _inside += 1
    if _inside == number:
        Path(path).touch()  # noqa: ASYNC240 — a file, because another process waits for it
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.5)
    return _inside


@tool(queue="errands", timeout=30)
def doze(seconds: float) -> float:
    """Wait a while, in a thread."""
    threading.Event().wait(seconds)
    return seconds


@tool(queue="errands", timeout=0.3, retries=2)
async def oversleep_async() -> None:
    """Wait for ages, on the loop."""
    await asyncio.sleep(AGES)


@tool(queue="errands", timeout=0.3, retries=2)
def oversleep() -> None:
    """Wait for ages, in a thread."""
    threading.Event().wait(AGES)


oversleep_2, oversleep_3 = (
    tool(name=name, queue="errands", timeout=0.3)(oversleep.function) for name in ("oversleep_2", "oversleep_3")
)


@tool(queue="errands", timeout=0.3)
async def hold_up_the_loop() -> None:
    """Block, where nothing may."""
    threading.Event().wait(AGES)


@tool(queue="errands", timeout=0.3, effect="at_most_once")
async def pay_for_ages() -> None:
    """Pay, and never say so."""
    await asyncio.sleep(AGES)


@tool(queue="errands", timeout=60, retries=2)
def linger(path: str, call: Call) -> int:
    """Note the attempt in a file; the first one then waits for ages."""
    return _linger(path, call)


@tool(queue="errands", timeout=60, effect="at_most_once")
def linger_once(path: str, call: Call) -> int:
    """The same, but it must not run twice."""
    return _linger(path, call)


@tool(queue="errands", timeout=60)
async def linger_async(path: str, call: Call) -> int:
    """The same on the loop, with a note of being cancelled."""
    _note(path, f"{call.attempt} {os.getpid()}")
    if call.attempt > 1:
        return call.attempt
    try:
        await asyncio.sleep(AGES)
    except asyncio.CancelledError:
        _note(path, "cancelled")
        raise
    return 0


@tool(queue="errands", timeout=60, effect="at_most_once")
def pay_until_told(path: str) -> str:
    """Pay until a file says that it is enough."""
    _note(path, "paying")
    while "enough" not in Path(path).read_text():
        threading.Event().wait(0.05)
    return "paid"


def _note(path: str, line: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _linger(path: str, call: Call) -> int:
    _note(path, f"{call.attempt} {os.getpid()}")
    if call.attempt == 1:
        threading.Event().wait(AGES)
    return call.attempt


@tool(queue="errands", retries=2)
def flaky(good_attempt: int, call: Call) -> int:
    """Fail until that attempt."""
    if call.attempt < good_attempt:
        raise OSError("the secret is 1234")
    return call.attempt


@tool(queue="errands", retries=1)
def refuse(retryable: bool) -> None:
    """Say no on purpose."""
    raise ToolError("Not today; ask tomorrow.", code="not_today", retryable=retryable)


@tool(queue="errands")
def quit_python() -> None:
    """Try to end the worker."""
    sys.exit(3)


@tool(queue="errands")
async def quit_python_async() -> None:
    """Try to end the loop."""
    sys.exit(3)


@tool(queue="errands")
async def close_itself_async() -> None:
    """Raise what closes a coroutine."""
    raise GeneratorExit


class Untellable(Exception):
    """An error of which no traceback can be written."""

    @property
    def __suppress_context__(self) -> bool:  # type: ignore[override]
        raise LookupError("its context")


@tool(queue="errands", retries=1)
def fail_untellably() -> None:
    """Fail in a way that cannot be written down."""
    raise Untellable


@tool(queue="errands", effect="at_most_once")
def pay_and_fail_untellably() -> None:
    """The same, once the money may be gone."""
    raise Untellable


class Exits(Sequence[int]):
    """A list that ends the process as it is read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        sys.exit(3)


class Order(BaseModel):
    """An order that ends the process as it is read or written."""

    number: int

    @field_validator("number")
    @classmethod
    def read(cls, number: int) -> int:
        return number or sys.exit(3)

    @field_serializer("number")
    def write(self, _number: int) -> int:
        sys.exit(3)


@tool(queue="errands")
def send_back(order: Order) -> Order:
    """Say the same."""
    return order


@tool(queue="errands", effect="at_most_once")
def pay_for(order: Order) -> None:
    """Pay, which none of its orders comes to."""


@tool(queue="errands")
def give(kind: str) -> Any:
    """Return something odd."""
    things: dict[str, Any] = {
        "object": object(),
        "nan": [1.0, float("nan")],
        "nul": {"a\0b": "c\0d\ud800"},
        "large": "x" * 300_000,
        "date": datetime(2026, 1, 2, tzinfo=UTC),
        "none": None,
        "exits": Exits(),
    }
    return things[kind]


@tool(queue="errands", timeout=30)
def report(note: str, call: Call) -> bool:
    """Report progress, then wait until nobody waits any more."""
    call.progress(f"{note}\0")  # Postgres takes no NUL
    while not call.cancelled:
        threading.Event().wait(0.05)
    return True


@tool(queue="slow")
def elsewhere() -> str:
    """On another queue."""
    return "slow"


@tool(queue="errands", effect="at_most_once", scopes=("orders:write",), concurrency=2)
def write_order(path: str) -> str:
    """Leave a file behind, for those who may."""
    Path(path).touch()
    return "written"
