"""Ctrl-C and SIGTERM, so that they unwind the stack wherever they come, and every context manager cleans up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupts:
    """While installed, either signal raises KeyboardInterrupt; in the middle of an event loop it cancels the task.

    Raised there it could hit the loop itself half-way, and leave tasks that nobody ends.
    """

    def __init__(self) -> None:
        self._came = False
        self._held = False
        self._task: asyncio.Task[Any] | None = None

    def install(self) -> None:
        """From now on. SIGINT too: a script starts its background jobs with it ignored."""
        signal.signal(signal.SIGINT, self._take)
        signal.signal(signal.SIGTERM, self._take)

    def run(self, runner: asyncio.Runner, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the runner's loop; KeyboardInterrupt where a signal ended it."""
        self._held = True
        try:
            return runner.run(self._attached(work))
        except asyncio.CancelledError:
            if self._came:
                raise KeyboardInterrupt from None
            raise
        finally:
            self._held, self._task = False, None

    async def _attached(self, work: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        if self._came:  # between the decision to run and this line
            work.close()
            raise asyncio.CancelledError
        return await work

    def _take(self, _number: int, _frame: object) -> None:
        self._came = True
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        elif not self._held:
            raise KeyboardInterrupt
