"""Invoker of tools, within their deadline.

An `async def` tool is cancelled when its time is up, or its call is cancelled. A plain function cannot be stopped: it
runs in a thread of its own, and its call goes on without it. Such a thread is *stuck* until the function returns.
Many stuck threads mean that a tool waits for something without a time-out of its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from threading import Lock, Thread
from time import monotonic
from typing import Any

from ringback.errors import ToolError
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from workers.execution.event_loop import ToolLoop, no_thread, raised_by_tool
from workers.execution.retry_policy import CallCancelled, DeadlineExceeded
from workers.execution.waiting import Steps, Waiting
from workers.leases.in_flight import Cancellation

MAX_STUCK_THREADS = 20
"""Stuck threads beyond which the process replaces itself: each holds memory, and often a connection."""
MAX_STUCK_SHARE = 0.2
"""The same as a share of the calls at once, if that is more. A replacement hands back all other calls, which begin
anew: one slow tool must not cost hundreds of calls of other tools their work.
"""
ONE_TOOLS_SHARE = 0.5
"""Share of those threads that one tool may hold. Beyond it, its calls are refused here until some return: it would hang
again, and wear out one process after the other.
"""

HANGS = "What this function depends on does not answer at the moment; it was not begun. Say so, offer to try later."

logger = logging.getLogger(__name__)


class ToolInvoker:
    """Invoker: async tools run on the loop, the others each in a thread.

    Args:
        slots: how many calls the process runs at once.
        bears_stuck: False if the process is easily replaced: the first stuck thread wears it out.
        died: called with the reason once no async tool can run here any more.
    """

    def __init__(self, slots: int = 1, *, bears_stuck: bool = True, died: Callable[[str], None] | None = None) -> None:
        self.loop = ToolLoop(died)
        self._bears = max(MAX_STUCK_THREADS, int(slots * MAX_STUCK_SHARE)) if bears_stuck else 0
        self._lock = Lock()
        self._stuck: Counter[str] = Counter()

    @property
    def stuck(self) -> int:
        """Return the number of threads that still run a function whose call is over."""
        return self._stuck.total()

    @property
    def worn(self) -> str:
        """Return why this process should be replaced; empty if it need not."""
        if self.loop.is_held_up:
            return "an async tool holds up the event loop for longer than its time"
        if self.stuck > self._bears:
            return f"threads stuck in tools that have no time-outs of their own: {self.stuck}"
        return ""

    def call(
        self, tool: Tool, arguments: dict[str, Any], call: Call, seconds: float, cancellation: Cancellation
    ) -> Steps[Any]:
        """Call the tool and return its result, in steps.

        Raises:
            DeadlineExceeded: it did not return within `seconds`.
            CallCancelled: it was cancelled meanwhile.
            ToolError: too many of its calls hang here already, or the system has no thread for it ("unavailable"); it
                was not begun.
            Exception: what the tool raised.
        """
        given = arguments | ({tool.call_parameter: call} if tool.call_parameter else {})
        if tool.is_async:
            return (yield from self.loop.run(tool.function(**given), seconds, cancellation))
        if self._stuck[tool.name] >= max(1, self._bears * ONE_TOOLS_SHARE):
            raise ToolError(HANGS, code="unavailable")
        end = monotonic() + seconds
        function = partial(copy_context().run, tool.function, **given)  # so that its spans are part of the call's trace
        result = yield from self._in_a_thread(tool.name, function, seconds, cancellation)
        if isawaitable(result):  # A decorator below @tool may make a plain function of an async one.
            result = yield from self.loop.run(result, end - monotonic(), cancellation)
        return result

    def _in_a_thread(
        self, name: str, function: Callable[[], Any], seconds: float, cancellation: Cancellation
    ) -> Steps[Any]:
        outcome: Future[Any] = Future()
        woken = Waiting(seconds)
        outcome.add_done_callback(lambda _: woken.over())
        cancellation.on_cancel(woken.over)
        try:
            Thread(target=_settle, args=(outcome, function), name=f"tool-{name}", daemon=True).start()
        except RuntimeError as problem:  # the system has no thread for it
            raise no_thread() from problem
        yield woken
        cancelled = cancellation.requested.is_set()
        if outcome.done() and not cancelled:
            return outcome.result()
        if not outcome.done():
            self._count_stuck(name, outcome)
        raise CallCancelled if cancelled else DeadlineExceeded

    def _count_stuck(self, name: str, outcome: Future[Any]) -> None:
        with self._lock:
            self._stuck[name] += 1
            stuck = self._stuck[name]
        outcome.add_done_callback(lambda _: self._count_freed(name))
        logger.warning(
            "thread stuck (tool %s, %d such threads): its call is over, and it cannot be stopped", name, stuck
        )

    def _count_freed(self, name: str) -> None:
        with self._lock:
            self._stuck[name] -= 1


def _settle(outcome: Future[Any], function: Callable[[], Any]) -> None:
    try:
        outcome.set_result(function())
    except BaseException as problem:
        if isinstance(problem, Exception) and not isinstance(problem, StopIteration):
            outcome.set_exception(problem)
            return
        # sys.exit() in a tool ends the call, not the worker; a StopIteration would pass for the end of the call's steps
        told = raised_by_tool(problem)
        told.__cause__ = problem
        outcome.set_exception(told)
