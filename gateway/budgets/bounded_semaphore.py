"""A door with a short line before it: whoever comes when the line is full is turned away at once."""

from __future__ import annotations

import asyncio
from types import TracebackType

from gateway.errors import GatewayError


class Overloaded(GatewayError):
    """The line is full."""


class BoundedSemaphore:
    """`async with` it, to be one of so many at a time.

    Args:
        at_once: how many are inside.
        in_line: how many may wait; one more raises Overloaded.
    """

    def __init__(self, at_once: int, in_line: int) -> None:
        self._inside = asyncio.Semaphore(at_once)
        self._in_line = in_line
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._inside.locked() and self._waiting >= self._in_line:
            raise Overloaded
        self._waiting += 1
        try:
            await self._inside.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._inside.release()
