"""An `asyncio.Event` and an `asyncio.Queue` for what there is ten of in each of thousands of sessions."""

from __future__ import annotations

import asyncio
from typing import Any


class SmallEvent(asyncio.Event):
    """Event whose waiters are a list: one task waits for it, and the deque of an `asyncio.Event` takes 0.6 KB."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters = []  # type: ignore[assignment]


class _Few(list[Any]):
    """List in the place of a deque, for what is nearly always empty."""

    __slots__ = ()

    def popleft(self) -> Any:
        return self.pop(0)


class SmallQueue(asyncio.Queue[Any]):
    """Queue that is nearly always empty. An `asyncio.Queue` has four deques."""

    def __init__(self) -> None:
        super().__init__()
        self._getters, self._putters, self._finished = _Few(), _Few(), SmallEvent()
        self._finished.set()

    def _init(self, maxsize: int) -> None:
        self._queue = _Few()
