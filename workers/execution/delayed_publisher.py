"""Messages that are to be sent at a moment to come: of calls that were put off.

The row is the promise (a sweeper publishes what is overdue); this is the punctuality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from threading import Condition, Thread
from time import monotonic
from uuid import UUID

MAX_WAITING = 10_000
"""Beyond that the sweeper publishes, a little later: a line that long moves slowly anyway."""


class DelayedPublisher:
    """Publishes each job at its time; of two times for one job, the one that was said last.

    Args:
        publish: called in a thread of this object's own; must not raise.
    """

    def __init__(self, publish: Callable[[Iterable[tuple[UUID, str]]], object]) -> None:
        self._publish = publish
        self._times: dict[UUID, float] = {}
        self._line: list[tuple[float, UUID, str]] = []
        self._change = Condition()
        self._ended = False
        self._thread: Thread | None = None

    def publish(self, job_id: UUID, queue: str, seconds: float = 0.0) -> None:
        """Have it published in so many seconds; never waits for the broker."""
        with self._change:
            if len(self._line) >= MAX_WAITING or self._ended:
                return
            self._times[job_id] = time = monotonic() + seconds
            heappush(self._line, (time, job_id, queue))
            if self._thread is None:
                self._thread = Thread(target=self._publish_in_time, name="later", daemon=True)
                self._thread.start()
            self._change.notify()

    def __len__(self) -> int:
        """How many wait for their time."""
        return len(self._times)

    def stop(self) -> None:
        """Nothing more is published; what waited is left to the sweepers."""
        with self._change:
            self._ended = True
            self._change.notify()

    def _publish_in_time(self) -> None:
        while (due := self._due()) is not None:
            if due:
                self._publish(due)

    def _due(self) -> list[tuple[UUID, str]] | None:
        """What is due, waited for; None at the end."""
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
