"""Pool of threads of a worker: a call that waits holds a place, and no thread.

`worker_pool` names it. In Celery's own pool a call holds a thread until its end, and thousands of calls that wait would
take thousands of threads. Here a thread carries out one step of a call (claim it and begin its tool, or write its
outcome), and goes on to the next step of any call. Celery hears that a job is over at the end of its last step. So it
counts each call that is under way, takes no message beyond them, and waits for all of them when it stops.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from math import inf
from threading import Condition, Thread, local
from time import monotonic
from typing import Any

from celery.concurrency import base, thread

from workers.execution.waiting import Steps, Waiting, run_to_end

MAX_THREADS = 500
"""Most threads of a pool. One is started if no other is free, and is kept. Few are ever busy, as a step takes
milliseconds: this many bear tools whose validators or results block.
"""
DONE = (0, None, 0.0)
"""What Celery's tracer returns of a task that succeeded with None."""

_TaskPool: Any = thread.TaskPool  # Celery is not typed
_apply_target: Any = base.apply_target
_here = local()


def carry_out(steps: Steps[None]) -> None:
    """Carry out the steps of a call: here to the end, or in this pool, whose thread is free while the call waits."""
    place: Place | None = getattr(_here, "place", None)
    if place is None:
        copy_context().run(run_to_end, steps)
    else:
        place.begin(steps)


class Place:
    """Place of one call in the pool.

    Args:
        pool: where its steps are carried out.
        over: Celery's, called at the end of the call.
    """

    __slots__ = ("_context", "_has_begun", "_over", "_pool", "_steps")
    _steps: Steps[None]
    _context: Context

    def __init__(self, pool: TaskPool, over: Callable[[Any], object]) -> None:
        self._pool = pool
        self._over = over
        self._has_begun = False

    def fill(self, target: Callable[..., Any], arguments: Any, named: Any, accepted: Callable[..., object]) -> None:
        """Have Celery trace the task, which calls `carry_out`; not once the pool stops, as others are free for it."""
        if self._pool.is_stopping:
            self._pool.leave()
            return
        _here.place = self
        try:
            _apply_target(target, arguments, named, self._traced, accepted)
        finally:
            _here.place = None
            if not self._has_begun:
                self._pool.leave()

    def begin(self, steps: Steps[None]) -> None:
        """Carry out the first step in this thread, and the others in turns, all in one context."""
        self._steps, self._context, self._has_begun = steps, copy_context(), True
        self._step(partial(next, steps))

    def _traced(self, returned: Any) -> None:
        if not self._has_begun:  # the message was dropped
            self._over(returned)

    def _step(self, step: Callable[[], Waiting]) -> None:
        waiting = None
        try:
            waiting = self._context.run(step)
        except StopIteration:
            pass
        finally:
            if waiting is None:
                self._over(DONE)
                self._pool.leave()
            else:
                self._pool.deadlines.add(waiting)
                waiting.add_done_callback(self._go_on)

    def _go_on(self, waiting: Any) -> None:
        self._pool.executor.submit(self._step, partial(self._steps.send, waiting.result()))


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
            if self._thread is None:
                self._thread = Thread(target=self._tell_late, name="deadlines", daemon=True)
                self._thread.start()
            if end < self.next_look:
                self._change.notify()
        waiting.add_done_callback(self._forget)

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
    """Task pool that `workers.app` names. `limit` bounds the calls that are under way, as in any pool of Celery's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.executor = ThreadPoolExecutor(min(self.limit, MAX_THREADS), "call-steps")
        self.deadlines = Deadlines()
        self.is_stopping = False
        self._left = Condition()
        self._under_way = 0

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = (),
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        **_: Any,
    ) -> Any:
        """Give a job its place. Celery calls this hook."""
        with self._left:
            self._under_way += 1
        place = Place(self, callback)
        return thread.ApplyResult(self.executor.submit(place.fill, target, args, kwargs, accept_callback))

    def on_stop(self) -> None:
        """Wait for all calls, those that hold no thread too. Celery calls this hook in a warm shutdown."""
        self.is_stopping = True
        with self._left:
            self._left.wait_for(lambda: not self._under_way)
        super().on_stop()

    def leave(self) -> None:
        """Count a call that is over."""
        with self._left:
            self._under_way -= 1
            if not self._under_way:
                self._left.notify_all()
