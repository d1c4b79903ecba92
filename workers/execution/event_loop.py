"""Event loop of a worker process, on a thread of its own: every `async def` tool runs on it.

Five hundred tools that wait cost one thread here. A loop belongs to the process that made it, so it starts with the
first call and not with the import. A tool that computes or blocks on it holds up all the others; once its own time is
over too, the process has to be replaced. The loop goes on after a tool that stops it, or whose task raises SystemExit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from inspect import isawaitable
from threading import Lock, Thread
from time import monotonic
from typing import Any

from ringback.errors import ToolError
from workers.execution.retry_policy import CallCancelled, DeadlineExceeded
from workers.execution.waiting import Steps, Waiting
from workers.leases.in_flight import Cancellation
from workers.logs import ThrottledLogger

CANCEL_SECONDS = 1.0
"""How long a cancelled tool may take to clean up; then the worker stops waiting, and the model is answered."""

NO_THREAD = "There is no room for this function at the moment; it was not begun. Say so, offer to try later."

HELD_UP_SECONDS = 1.0
"""How long the loop may take to run a callback."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)


class Run:
    """Coroutine on the loop, and what its call waits for."""

    def __init__(self, seconds: float) -> None:
        self.woken = Waiting(seconds + CANCEL_SECONDS)
        """Set once the call may go on: the coroutine has ended, or its call is cancelled."""
        self.ended = Waiting(CANCEL_SECONDS)
        self.task: asyncio.Task[Any] | None = None
        """Set once it has begun."""

    def begin(self, coroutine: Awaitable[Any], end: float) -> None:
        """Begin, on the loop and in the caller's context. `run_coroutine_threadsafe` would add a future and its
        callbacks, which cost as much as all else here.

        It does not begin once its call has gone on, because another tool held up the loop for as long.
        """
        if self.woken.done():
            _close(coroutine)
            self.ended.over()
            return
        self.task = asyncio.get_running_loop().create_task(_within(coroutine, end - monotonic()))
        self.task.add_done_callback(self._end)

    def cancel(self) -> None:
        """Cancel the coroutine, on the loop."""
        if self.task is not None:
            self.task.cancel()

    def result(self) -> Any:
        """Return what the coroutine returned, or raise what it raised, once it has ended."""
        if self.task is None or self.task.cancelled():
            raise RuntimeError("the tool cancelled itself")
        try:
            return self.task.result()
        except GeneratorExit as problem:  # it would pass for the end of the call's steps
            raise raised_by_tool(problem) from problem

    def _end(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # the call may have gone on: asyncio would log what was not asked for
        self.ended.over()
        self.woken.over()


class ToolLoop:
    """Event loop for callers on other threads.

    Args:
        died: called with the reason once the loop cannot go on; what runs on it will not end.
    """

    def __init__(self, died: Callable[[str], None] | None = None) -> None:
        self._died = died
        self.is_held_up = False
        """True once a tool has blocked the loop for longer than its time: no other tool can run here any more."""
        self._lock = Lock()
        self._is_stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, coroutine: Awaitable[Any], seconds: float, cancellation: Cancellation) -> Steps[Any]:
        """Run the coroutine and return its result, in steps.

        Raises:
            DeadlineExceeded: it was cancelled after `seconds`.
            CallCancelled: it was cancelled on request.
            ToolError: the system has no thread for the loop; it was not begun.
        """
        run, end = Run(seconds), monotonic() + seconds
        cancellation.on_cancel(run.woken.over)
        try:
            loop = self._started()
            loop.call_soon_threadsafe(run.begin, coroutine, end)
        except ToolError:
            _close(coroutine)
            raise
        except RuntimeError:  # it is stopped, or a tool has closed it, and this process ends: the call is handed back
            _close(coroutine)
            yield run.woken
            raise DeadlineExceeded from None
        yield run.woken
        run.woken.over()  # whether or not it came in time: what has not begun never does
        if cancellation.requested.is_set():  # a result that comes after that does not count
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(run.cancel)
            if not (yield run.ended):
                yield from self._tell(run, loop, "cancelled async tool did not stop")
            raise CallCancelled
        if run.ended.done():
            return run.result()
        yield from self._tell(run, loop, "async tool did not stop in time")
        raise DeadlineExceeded

    def stop(self, seconds: float = CANCEL_SECONDS) -> None:
        """Cancel what runs, and wait so long for it to end. Nothing begins here after that."""
        with self._lock:
            loop, thread, self._loop, self._is_stopped = self._loop, self._thread, None, True
        if loop is None or thread is None:
            return
        with suppress(RuntimeError):  # a tool has closed it
            loop.call_soon_threadsafe(loop.stop)
        thread.join(seconds)

    def _tell(self, run: Run, loop: asyncio.AbstractEventLoop, what: str) -> Steps[None]:
        """Log why a call does not end: it blocks the loop, another call does, or it ignores the cancellation."""
        turns = Waiting(HELD_UP_SECONDS)
        loop.call_soon_threadsafe(turns.over)
        if (yield turns):
            logger.error("%s: it ignores its cancellation, and runs on", what)
        elif run.task is not None and asyncio.current_task(loop) is run.task:
            self.is_held_up = True
            logger.error("%s: it blocks the loop, and every other async tool with it", what)
        else:
            logger.error("%s: another tool blocks the loop", what)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_stopped:
                raise RuntimeError("the loop is stopped")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._serve, args=(self._loop,), name="tool-loop", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as problem:
                    self._loop.close()
                    self._loop = None
                    raise no_thread() from problem
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while loop is self._loop:  # `stop` forgets it first
                self._run(loop)
        except Exception as problem:
            logger.exception("event loop died; this worker ends")
            if self._died:
                self._died(f"event loop died of {type(problem).__name__}")
            return
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop until it is stopped. The callback that raised is over by then, and all others are still in
        line.
        """
        cause = "stop"
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as problem:
            cause = type(problem).__name__
        if loop is self._loop:
            _throttled.warning("event loop ended by a tool (%s); restarting it", cause)


def no_thread() -> ToolError:
    """Return the error of a call for which the system has no thread."""
    return ToolError(NO_THREAD, code="unavailable", retryable=True)


def raised_by_tool(problem: BaseException) -> RuntimeError:
    """Return the error in the place of what a tool must not raise through its call: SystemExit and its like."""
    return RuntimeError(f"the tool raised {type(problem).__name__}")


def _close(coroutine: Awaitable[Any]) -> None:
    """Close a coroutine that has not begun: Python would warn that it is dropped."""
    if isinstance(coroutine, Coroutine):
        coroutine.close()


async def _within(coroutine: Awaitable[Any], seconds: float) -> Any:
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
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as problem:  # SystemExit would end the loop, and every other tool with it
        raise raised_by_tool(problem) from problem
