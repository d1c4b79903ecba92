"""One event loop for each worker process, on a thread of its own: every `async def` tool runs on it.

Two hundred tools that wait cost one thread here. A loop belongs to the process that made it, so it starts with the
first call and not with the import.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Event, Lock, Thread
from typing import Any

from workers.running import Cancellation
from workers.verdict import NobodyWaits, OutOfTime

CANCEL_SECONDS = 1.0
"""How long a cancelled tool may take to clean up; one that takes longer is left behind, and its caller answered."""

logger = logging.getLogger(__name__)


class ToolLoop:
    """Runs coroutines on its thread, for callers on other threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any], seconds: float, cancellation: Cancellation) -> Any:
        """The coroutine's result, waited for in the caller's thread.

        Raises:
            OutOfTime: it was cancelled after `seconds`.
            NobodyWaits: it was cancelled because that was asked for.
        """
        ended, woken = Event(), Event()
        future = asyncio.run_coroutine_threadsafe(_within(coroutine, seconds, ended), self._started())
        future.add_done_callback(lambda _: woken.set())
        cancellation.then(woken.set)
        woken.wait(seconds + CANCEL_SECONDS)
        if cancellation.asked.is_set():  # what it returns after that says nothing
            future.cancel()
            if not ended.wait(CANCEL_SECONDS):
                logger.error("a cancelled async tool did not stop: it holds up the loop, or ignores being cancelled")
            raise NobodyWaits
        if future.done():
            return _result(future)
        logger.error("an async tool did not stop in time: it holds up the loop, or ignores being cancelled")
        raise OutOfTime

    def stop(self, seconds: float = CANCEL_SECONDS) -> None:
        """Cancel what runs, and wait so long for it to end."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(seconds)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=_serve, args=(self._loop,), name="tool-loop", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


async def _within(coroutine: Coroutine[Any, Any, Any], seconds: float, ended: Event) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await coroutine
    except TimeoutError:
        if limit.expired():
            raise OutOfTime from None
        raise
    except (SystemExit, KeyboardInterrupt) as problem:
        # Either would end the loop, and every other tool with it.
        raise RuntimeError(f"the tool raised {type(problem).__name__}") from problem
    finally:
        ended.set()


def _result(future: Future[Any]) -> Any:
    if future.cancelled():
        raise RuntimeError("the tool cancelled itself")
    return future.result()
