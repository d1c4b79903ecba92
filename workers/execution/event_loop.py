"""One event loop for each worker process, on a thread of its own: every `async def` tool runs on it.

Five hundred tools that wait cost one thread here. A loop belongs to the process that made it, so it starts with the
first call and not with the import. A tool that computes or blocks on it holds up all the others: once its own time is
over as well, the process has to be replaced. The loop goes on after a tool that stops it, or whose task raises
SystemExit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from threading import Event, Lock, Thread
from typing import Any

from workers.execution.retry_policy import CallCancelled, DeadlineExceeded
from workers.leases.in_flight import Cancellation
from workers.logs import Seldom

CANCEL_SECONDS = 1.0
"""How long a cancelled tool may take to clean up; one that takes longer is left behind, and its caller answered."""

HELD_UP_SECONDS = 1.0
"""How long the loop may take to say that it turns."""

logger = logging.getLogger(__name__)
_seldom = Seldom(logger)


@dataclass
class Run:
    """One coroutine on the loop."""

    ended: Event = field(default_factory=Event)
    task: asyncio.Task[Any] | None = None
    """Once it has begun."""


class ToolLoop:
    """Runs coroutines on its thread, for callers on other threads.

    Args:
        died: called with the reason once the loop cannot go on; what runs on it will not end.
    """

    def __init__(self, died: Callable[[str], None] | None = None) -> None:
        self._died = died
        self.is_held_up = False
        """True once a tool has stood on the loop for longer than its time: nothing else can run here any more."""
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, coroutine: Awaitable[Any], seconds: float, cancellation: Cancellation) -> Any:
        """The coroutine's result, waited for in the caller's thread.

        Raises:
            DeadlineExceeded: it was cancelled after `seconds`.
            CallCancelled: it was cancelled because that was asked for.
        """
        run, woken, loop = Run(), Event(), self._started()
        inner = _within(coroutine, seconds, run)
        try:
            future = asyncio.run_coroutine_threadsafe(inner, loop)
        except RuntimeError:  # a tool has closed the loop, and this process ends: the call is handed back
            inner.close()
            if isinstance(coroutine, Coroutine):
                coroutine.close()
            cancellation.asked.wait(seconds)
            raise DeadlineExceeded from None
        future.add_done_callback(lambda _: woken.set())
        cancellation.then(woken.set)
        woken.wait(seconds + CANCEL_SECONDS)
        if cancellation.asked.is_set():  # what it returns after that says nothing
            future.cancel()
            if not run.ended.wait(CANCEL_SECONDS):
                self._tell(run, loop, "a cancelled async tool did not stop")
            raise CallCancelled
        if future.done():
            return _result(future)
        self._tell(run, loop, "an async tool did not stop in time")
        raise DeadlineExceeded

    def stop(self, seconds: float = CANCEL_SECONDS) -> None:
        """Cancel what runs, and wait so long for it to end."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        with suppress(RuntimeError):  # a tool has closed it
            loop.call_soon_threadsafe(loop.stop)
        thread.join(seconds)

    def _tell(self, run: Run, loop: asyncio.AbstractEventLoop, what: str) -> None:
        """Why a call does not end: it stands on the loop, another one does, or it will not be cancelled."""
        turns = Event()
        loop.call_soon_threadsafe(turns.set)
        if turns.wait(HELD_UP_SECONDS):
            logger.error("%s: it ignores being cancelled, and is left behind", what)
        elif run.task is not None and asyncio.current_task(loop) is run.task:
            self.is_held_up = True
            logger.error("%s: it holds up the loop, and every other async tool with it", what)
        else:
            logger.error("%s: another one holds up the loop", what)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._serve, args=(self._loop,), name="tool-loop", daemon=True)
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while loop is self._loop:  # `stop` forgets it first
                self._run(loop)
        except Exception as problem:
            logger.exception("the event loop of all async tools has died")
            if self._died:
                self._died(f"the event loop of all async tools has died of {type(problem).__name__}")
            return
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until it is stopped; the callback that raised is over by then, and all others are still in line."""
        cause = "stop"
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as problem:
            cause = type(problem).__name__
        if loop is self._loop:
            _seldom.warning("a tool has ended the event loop of all async tools (%s): it goes on", cause)


async def _within(coroutine: Awaitable[Any], seconds: float, run: Run) -> Any:
    run.task = asyncio.current_task()
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            result = await coroutine
            while isawaitable(result):  # An async function may return what another one has begun.
                result = await result
            return result
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded from None
        raise
    except (SystemExit, KeyboardInterrupt) as problem:
        # Either would end the loop, and every other tool with it.
        raise RuntimeError(f"the tool raised {type(problem).__name__}") from problem
    finally:
        run.ended.set()


def _result(future: Future[Any]) -> Any:
    if future.cancelled():
        raise RuntimeError("the tool cancelled itself")
    return future.result()
