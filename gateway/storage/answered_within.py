"""Time limit for answers of servers, by a clock that counts no time in which this process stood still."""

from __future__ import annotations

import asyncio
import math
from typing import Any

STEP_SECONDS = 0.5
"""In what the clock counts: a step that takes longer, because this process stood still, counts as one."""


class AnsweredWithin:
    """Context that raises TimeoutError after so many seconds in which the event loop turned.

    A loop that was held up finds its time-out and the answer at the same moment: the delay was not the server's. It is
    a class, as the pool's connections are: the event loop keeps a list of all async generators, at a cost for each.
    """

    __slots__ = ("_left", "_limit", "_loop", "_timer")

    def __init__(self, seconds: float) -> None:
        self._left = math.ceil(seconds / STEP_SECONDS)

    async def __aenter__(self) -> None:
        self._loop, self._limit = asyncio.get_running_loop(), asyncio.timeout(None)
        await self._limit.__aenter__()
        self._step()

    async def __aexit__(self, *problem: Any) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(*problem)

    def _step(self) -> None:
        if self._left:
            self._left -= 1
            self._timer = self._loop.call_later(STEP_SECONDS, self._step)
        else:
            self._limit.reschedule(self._loop.time())
