"""Event loop with a virtual clock: when all tasks wait for a later time, the clock skips to it.

`asyncio.sleep(30)` returns at once, and the clock shows 30 seconds more. While a task waits for a socket or a thread,
time passes normally, so that no such wait is cut short.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from asyncio import Future
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OWN_SOCKETS = 1
"""The loop's own socket, by which other threads wake it."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock begins at 0."""

    def __init__(self) -> None:
        self._selector_of_time = _Selector(self)
        super().__init__(self._selector_of_time)
        self.now = 0.0
        self.outsiders = 0
        """Threads that a task waits for."""

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> Future[T]:
        self.outsiders += 1
        future: Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _future: Future[Any]) -> None:
        self.outsiders -= 1


class _Selector(selectors.BaseSelector):
    """Selector that waits only for sockets and threads, and otherwise advances the clock."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        self._loop = loop
        self._sockets = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._sockets.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self._loop.outsiders or len(self._sockets.get_map()) > OWN_SOCKETS:
            began = time.monotonic()
            ready = self._sockets.select(timeout)
            self._loop.now += time.monotonic() - began
            return ready
        self._loop.now += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._sockets.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._sockets.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._sockets.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._sockets.get_map()

    def close(self) -> None:
        self._sockets.close()
