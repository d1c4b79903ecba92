"""Publisher of postponed calls at a later moment.

The row guarantees it (a sweeper publishes overdue jobs); this publishes in time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from threading import Condition, Thread
from time import monotonic
from uuid import UUID

from workers.logs import ThrottledLogger

MAX_WAITING = 10_000
"""Beyond that the sweeper publishes, a little later: so long a line moves slowly in any case."""

_throttled = ThrottledLogger(logging.getLogger(__name__))


class DelayedPublisher:
    """Publisher of each job at its time; if a job has two times, the later request counts.

    Args:
        publish: called in this object's thread; must not raise.
    """

    def __init__(self, publish: Callable[[Iterable[tuple[UUID, str]]], object]) -> None:
        self._publish = publish
        self._times: dict[UUID, float] = {}
        self._line: list[tuple[float, UUID, str]] = []
        self._change = Condition()
        self._ended = False
        self._thread: Thread | None = None

    def publish(self, job_id: UUID, queue: str, seconds: float = 0.0) -> None:
        """Publish the job in so many seconds. Never waits for the broker."""
        with self._change:
            if len(self._line) >= MAX_WAITING or self._ended:
                return
            self._times[job_id] = time = monotonic() + seconds
            heappush(self._line, (time, job_id, queue))
            if self._thread is None:
                self._start()
            self._change.notify()

    def __len__(self) -> int:
        """Return how many wait for their time."""
        return len(self._times)

    def stop(self) -> None:
        """Stop publishing; the sweepers publish what waited."""
        with self._change:
            self._ended = True
            self._change.notify()

    def _start(self) -> None:
        thread = Thread(target=self._publish_in_time, name="delayed-publisher", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:  # the system has none for it; the next call tries again
            _throttled.warning("delayed publisher not started (%s); sweepers publish until it is", problem)
        else:
            self._thread = thread

    def _publish_in_time(self) -> None:
        while (due := self._due()) is not None:
            if due:
                self._publish(due)

    def _due(self) -> list[tuple[UUID, str]] | None:
        """Wait for due jobs and return them; None at the end."""
        with self._change:
            if self._ended:
                return None
            if not self._line or self._line[0][0] > monotonic():
                self._change.wait(self._line[0][0] - monotonic() if self._line else None)
            due = []
            while self._line and self._line[0][0] <= monotonic():
                time, job_id, queue = heappop(self._line)
                if self._times.get(job_id) == time:
                    del self._times[job_id]
                    due.append((job_id, queue))
            return None if self._ended else due
