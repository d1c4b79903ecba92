"""Ctrl-C and SIGTERM: either unwinds the stack wherever it comes, so that every context manager cleans up."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back a signal until the end of the block: what begins in it is known before it is unwound.

    Only the main thread hears signals, so in another thread the block runs as it is.
    """
    came: list[int] = []
    before = {each: signal.getsignal(each) for each in SIGNALS if callable(signal.getsignal(each))}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    for each in before:
        signal.signal(each, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)


class SignalWatch:
    """Handler of both signals: raises KeyboardInterrupt, or cancels the task if an event loop runs.

    Raised inside a loop, the exception could interrupt the loop itself, and leave tasks running.
    """

    def __init__(self) -> None:
        self._came = False
        self._held = False
        self._task: asyncio.Task[Any] | None = None

    def install(self) -> None:
        """Install the handler. SIGINT too: a script starts its background jobs with it ignored."""
        for each in SIGNALS:
            signal.signal(each, self._take)

    def run(self, runner: asyncio.Runner, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the runner's loop; raise KeyboardInterrupt if a signal ended it."""
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
