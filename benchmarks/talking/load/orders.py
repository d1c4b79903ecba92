"""How the load is told what to do: a JSON object on a line of standard input, answered by one on standard output."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

Order = Callable[..., Awaitable[dict[str, Any]]]
Member = TypeVar("Member")
STAMP_DIGITS = 16
"""Digits of a time in nanoseconds. Digits are letters of base64, and 16 of them stand for 12 whole bytes."""
NANOSECONDS_OF_A_MILLISECOND = 1_000_000
LEAST_PAUSE = 0.0005
"""Seconds that a pacer sleeps at least: a busy loop would take the core from what is measured."""


async def obey(orders: dict[str, Order]) -> None:
    """Carry out orders until standard input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        answer = await orders[order.pop("do")](**order)
        print(json.dumps(answer), flush=True)


class Pacer:
    """Calls each member of a group once in a period, evenly spread over it, until it is stopped."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._task: asyncio.Task[None] | None = None

    async def start(self, members: Sequence[Member], act: Callable[[Member], None]) -> None:
        await self.stop()
        self._task = asyncio.create_task(self._run(members, act))

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self, members: Sequence[Member], act: Callable[[Member], None]) -> None:
        step, began, number = self._period / len(members), time.monotonic(), 0
        while True:
            due = min(len(members), int((time.monotonic() - began) / step) + 1 - number)
            for _ in range(due):  # one round at most: a load that is late must still take orders
                act(members[number % len(members)])
                number += 1
            await asyncio.sleep(max(LEAST_PAUSE, began + number * step - time.monotonic()))


class Stamps:
    """Milliseconds between the stamp inside of a frame and its arrival; collected from a mark on."""

    def __init__(self) -> None:
        self._milliseconds = array("d")
        self._is_marked = False

    @staticmethod
    def now() -> bytes:
        return b"%016d" % time.monotonic_ns()

    def mark(self) -> None:
        self._milliseconds = array("d")
        self._is_marked = True

    def note(self, payload: bytes, key: bytes) -> None:
        """Read the stamp at the beginning of this key's value. A relay may have written the JSON anew."""
        if self._is_marked:
            start = payload.index(b'"', payload.index(key) + len(key)) + 1
            sent = int(payload[start : start + STAMP_DIGITS])
            self._milliseconds.append((time.monotonic_ns() - sent) / NANOSECONDS_OF_A_MILLISECOND)

    def quantiles(self) -> dict[str, float]:
        """The shares of interest; nothing was timed where this is empty."""
        found = sorted(self._milliseconds)
        shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
        return {name: round(found[int(share * (len(found) - 1))], 4) for name, share in shares.items()} if found else {}
