"""Pool of threads of a worker: a call that waits holds a place, and no thread.

`worker_pool` names it. In Celery's own pool a call holds a thread until its end, and thousands of calls that wait would
take thousands of threads. Here a thread carries out one step of a call (claim it and begin its tool, or write its
outcome), and goes on to the next step of any call. The pool counts each call until its last step is over: the consumer
takes no message beyond them, and a worker that stops waits for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import partial
from math import inf
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Any

from celery.concurrency import thread

from workers.execution.waiting import Steps, Waiting
from workers.logs import ThrottledLogger

MAX_THREADS = 100
"""Most threads of a pool. One is started if no other is free, and is kept. A step takes milliseconds, so this many bear
some tools whose validators block. If thousands of calls end at once, each of them asks for the interpreter before the
thread that renews the lease.
"""
HAND_OVER_SECONDS = 0.001
"""How long the consumer waits for a call to begin. Both want the interpreter, and the next message can wait."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)
_TaskPool: Any = thread.TaskPool  # Celery is not typed


def _tell_none(_under_way: int) -> None:
    """Default of the hook that hears of calls that are over."""


class Place:
    """Place of one call in the pool, which carries out its steps in turns, all in one context."""

    __slots__ = ("_begins", "_context", "_pool", "_steps")

    def __init__(self, pool: TaskPool, steps: Steps[None]) -> None:
        self._pool = pool
        self._steps = steps
        self._context = Context()
        self._begins = Lock()
        self._begins.acquire()

    def begin(self) -> None:
        """Carry out the first step; not once the pool stops, as others are free for the call."""
        self._begins.release()
        if self._pool.is_stopping:
            self._pool.leave()
        else:
            self._step(partial(next, self._steps))

    def wait_until_begun(self, seconds: float) -> None:
        """Wait for a thread to begin, but no longer than this."""
        self._begins.acquire(timeout=seconds)

    def _step(self, step: Callable[[], Waiting]) -> None:
        waiting = None
        try:
            waiting = self._context.run(step)
        except StopIteration:
            pass
        finally:
            if waiting is None:
                self._pool.leave()
            else:
                try:
                    self._pool.deadlines.add(waiting)
                finally:  # a clock that cannot start loses no call
                    waiting.add_done_callback(self._go_on)

    def _go_on(self, waiting: Any) -> None:
        self._pool.submit(partial(self._step, partial(self._steps.send, waiting.result())))


class Deadlines:
    """Clock of the calls that wait: ends each wait whose time is over.

    It has a thread of its own, as a tool may hold up the event loop. It looks at what waits now, and at nothing that
    came in time: so calls that end soon leave nothing behind.
    """

    def __init__(self) -> None:
        self._change = Condition()
        self._ends: dict[Waiting, float] = {}
        self.next_look = inf
        """When it looks again by itself, on `monotonic`."""
        self._thread: Thread | None = None

    def __len__(self) -> int:
        """Return how many waits it ends, if nothing else does."""
        return len(self._ends)

    def add(self, waiting: Waiting) -> None:
        """End the wait after its seconds, unless it is over before."""
        end = monotonic() + waiting.seconds
        with self._change:
            self._ends[waiting] = end
            waiting.add_done_callback(self._forget)  # first: a later clock would tell what is never forgotten for ever
            if self._thread is None:
                clock = Thread(target=self._tell_late, name="deadlines", daemon=True)
                clock.start()  # if the system has no thread for it, the next call tries again
                self._thread = clock
            if end < self.next_look:
                self._change.notify()

    def _forget(self, waiting: Any) -> None:
        with self._change:
            self._ends.pop(waiting, None)

    def _tell_late(self) -> None:
        while True:
            for waiting in self._late():
                waiting.over(came=False)

    def _late(self) -> list[Waiting]:
        """Wait until the time of any is over; return all of those."""
        with self._change:
            while not (late := [waiting for waiting, end in self._ends.items() if end <= monotonic()]):
                self.next_look = min(self._ends.values(), default=inf)
                self._change.wait(None if self.next_look == inf else self.next_look - monotonic())
            self.next_look = -inf
            return late


class TaskPool(_TaskPool):  # type: ignore[misc]
    """Task pool that `workers.app` names. The transport gives it jobs, past Celery's own tasks."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.executor = ThreadPoolExecutor(min(self.limit, MAX_THREADS), "call-steps")
        self.deadlines = Deadlines()
        self.is_stopping = False
        self.under_way = 0
        """Calls that have begun, or are about to, and are not over."""
        self.on_left: Callable[[int], None] = _tell_none
        """Called once a call is over, in any thread, with how many are under way then."""
        self._left = Condition()

    def carry_out(self, steps: Steps[None]) -> None:
        """Give a call its place, and have a thread begin it."""
        with self._left:
            self.under_way += 1
        place = Place(self, steps)
        self.submit(place.begin)
        place.wait_until_begun(HAND_OVER_SECONDS)

    def submit(self, step: Callable[[], None]) -> None:
        """Have a thread carry out the step. If the system has none for it, a thread of the pool takes it once free."""
        try:
            self.executor.submit(step)
        except RuntimeError as problem:  # the step is in line all the same
            _throttled.warning("no thread for a call (%s): it goes on as soon as another call leaves one", problem)

    def on_stop(self) -> None:
        """Wait for all calls, those that hold no thread too. Celery calls this hook in a warm shutdown."""
        self.is_stopping = True
        with self._left:
            self._left.wait_for(lambda: not self.under_way)
        super().on_stop()

    def leave(self) -> None:
        """Count a call that is over."""
        with self._left:
            self.under_way -= 1
            under_way = self.under_way
            if not under_way:
                self._left.notify_all()
        self.on_left(under_way)
