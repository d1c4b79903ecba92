"""Something that many calls share, held open by a task of its own on the loop where tools run.

What the `mcp` package opens must be closed by the task that opened it, and a call is not that task: it comes and goes.
Nothing here outlives its loop, and nothing is shared across a fork: another loop opens its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

OPEN_SECONDS = 30.0
"""For a program to start, or a far server to answer. A call waits no longer than its own time-out."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Held(Generic[T]):
    """Opened by whoever asks first, and again by whoever asks after it broke.

    Args:
        name: for the log, and for the task.
        opened: makes what is to be held.
        is_alive: whether what is held can still be used.
    """

    def __init__(
        self,
        name: str,
        opened: Callable[[], AbstractAsyncContextManager[T]],
        is_alive: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self._name = name
        self._opened = opened
        self._is_alive = is_alive
        self._hold: _Hold[T] | None = None

    async def get(self) -> T:
        """What is held. Being cancelled here leaves the opening to go on, for the next one.

        Raises:
            Exception: whatever came of opening it; the next one who asks tries again.
        """
        hold = self._hold
        if hold is None or hold.is_over(self._is_alive):
            if hold is not None:
                hold.close()
            hold = self._hold = _Hold(self._name, self._opened)
        await asyncio.wait({hold.ready})
        return hold.ready.result()

    def drop(self, value: T) -> None:
        """It is broken: close it, unless it has been replaced already."""
        if self._hold is not None and self._hold.holds(value):
            self._hold.close()
            self._hold = None


class _Hold(Generic[T]):
    def __init__(self, name: str, opened: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._opened = opened
        self._closing = asyncio.Event()
        self.ready: asyncio.Future[T] = self._loop.create_future()
        self.ready.add_done_callback(_look_at)
        self._task = asyncio.create_task(self._keep_open(), name=f"held-{name}")

    def is_over(self, is_alive: Callable[[T], bool]) -> bool:
        if self._loop is not asyncio.get_running_loop() or self._task.done() or self._closing.is_set():
            return True
        return self.ready.done() and not is_alive(self.ready.result())

    def holds(self, value: T) -> bool:
        ready = self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None
        return ready and self.ready.result() is value

    def close(self) -> None:
        """Soon, by the task that opened it."""
        if not self._loop.is_closed() and self._loop is asyncio.get_running_loop():
            self._closing.set()

    async def _keep_open(self) -> None:
        try:
            manager = self._opened()
            async with asyncio.timeout(OPEN_SECONDS):
                value = await manager.__aenter__()
            try:
                self.ready.set_result(value)
                await self._closing.wait()
            finally:
                await manager.__aexit__(None, None, None)
        except asyncio.CancelledError:
            self.ready.cancel()
            raise
        except Exception as problem:
            if self.ready.done():
                logger.warning("%s broke off: %s", self._name, first_of(problem))
            else:
                self.ready.set_exception(first_of(problem))


def first_of(problem: BaseException) -> Exception:
    """The problem itself, where a task group has wrapped it."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem if isinstance(problem, Exception) else RuntimeError(type(problem).__name__)


def _look_at(ready: asyncio.Future[T]) -> None:
    """Nobody may have waited for it: its problem is no news to asyncio."""
    if not ready.cancelled():
        ready.exception()
