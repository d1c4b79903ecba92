"""Semaphore with a bounded wait queue."""

from __future__ import annotations

import asyncio
from types import TracebackType

from gateway.errors import GatewayError


class Overloaded(GatewayError):
    """The wait queue is full."""


class BoundedSemaphore:
    """Semaphore that a task holds inside `async with`. If the wait queue is full, it raises Overloaded at once.

    Args:
        at_once: how many tasks may hold it.
        waiting: how many more may wait for it.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._held = asyncio.Semaphore(at_once)
        self._may_wait = waiting
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._held.locked() and self._waiting >= self._may_wait:
            raise Overloaded
        self._waiting += 1
        try:
            await self._held.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._held.release()
