"""Holder of a connection that many calls share, kept open by a task of its own on the loop where tools run.

A connection that the `mcp` package opens must be closed by the task that opened it, and a call is not that task: it
comes and goes. No connection outlives its loop or is shared across a fork: another loop opens another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

OPEN_SECONDS = 30.0
"""Time for a program to start, or a far server to reply. A call waits no longer than its own time-out."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class ConnectionHolder(Generic[T]):
    """Connection that the first caller opens, and that the next caller reopens after it broke.

    Args:
        name: for the log, and for the task.
        open_connection: opens it.
        is_alive: whether the connection can still be used.
    """

    def __init__(
        self,
        name: str,
        open_connection: Callable[[], AbstractAsyncContextManager[T]],
        is_alive: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self._name = name
        self._open = open_connection
        self._is_alive = is_alive
        self._connection: _Connection[T] | None = None

    async def get(self) -> T:
        """Return the connection. If the caller is cancelled here, the opening goes on, for the next caller.

        Raises:
            Exception: what the opening raised; the next caller tries again.
        """
        connection = self._connection
        if connection is None or connection.is_over(self._is_alive):
            if connection is not None:
                connection.close()
            connection = self._connection = _Connection(self._name, self._open)
        await asyncio.wait({connection.ready})
        return connection.ready.result()

    def drop(self, value: T) -> None:
        """Close a broken connection, unless it has been replaced already."""
        if self._connection is not None and self._connection.holds(value):
            self._connection.close()
            self._connection = None


class _Connection(Generic[T]):
    def __init__(self, name: str, open_connection: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._open = open_connection
        self._closing = asyncio.Event()
        self.ready: asyncio.Future[T] = self._loop.create_future()
        self.ready.add_done_callback(_mark_retrieved)
        self._task = asyncio.create_task(self._keep_open(), name=f"held-{name}")

    def is_over(self, is_alive: Callable[[T], bool]) -> bool:
        if self._loop is not asyncio.get_running_loop() or self._task.done() or self._closing.is_set():
            return True
        return self.ready.done() and not is_alive(self.ready.result())

    def holds(self, value: T) -> bool:
        ready = self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None
        return ready and self.ready.result() is value

    def close(self) -> None:
        """Have the task that opened it close it soon."""
        if not self._loop.is_closed() and self._loop is asyncio.get_running_loop():
            self._closing.set()

    async def _keep_open(self) -> None:
        try:
            manager = self._open()
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
                logger.warning("connection lost (%s): %s; the next call opens another", self._name, first_of(problem))
            else:
                self.ready.set_exception(first_of(problem))


def first_of(problem: BaseException) -> Exception:
    """Return the problem itself, if a task group has wrapped it."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem if isinstance(problem, Exception) else RuntimeError(type(problem).__name__)


def _mark_retrieved(ready: asyncio.Future[T]) -> None:
    """Mark the exception as retrieved for asyncio: perhaps no caller waited for it."""
    if not ready.cancelled():
        ready.exception()
