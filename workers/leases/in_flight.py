"""What this process is running now: whom to tell when nobody waits for a call any more, and how much was dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from uuid import UUID


class Cancellation:
    """Whether anybody still waits for one call; whoever carries it out can be woken when nobody does."""

    def __init__(self) -> None:
        self.asked = Event()
        self._lock = Lock()
        self._then: list[Callable[[], object]] = []

    def ask(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self.asked.set()
            waiting, self._then = self._then, []
        for call in waiting:
            call()

    def then(self, call: Callable[[], object]) -> None:
        """Have it called once nobody waits any more; at once, if that is so already."""
        with self._lock:
            if not self.asked.is_set():
                self._then.append(call)
                return
        call()


class InFlightCalls:
    """The calls under way, by job. Used by many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[UUID, Cancellation] = {}
        self.fenced = 0
        """Outcomes that came too late: the job was no longer this process's to finish."""

    def __len__(self) -> int:
        return len(self._calls)

    @contextmanager
    def started(self, job_id: UUID) -> Iterator[Cancellation]:
        """Under way for as long as the context; yields what says that nobody waits any more."""
        cancelled = Cancellation()
        with self._lock:
            self._calls[job_id] = cancelled
        try:
            yield cancelled
        finally:
            with self._lock:
                del self._calls[job_id]

    def cancel(self, job_ids: Iterable[UUID]) -> None:
        """Tell these calls, where they run here, that nobody waits for them."""
        with self._lock:
            calls = [self._calls[job_id] for job_id in job_ids if job_id in self._calls]
        for call in calls:
            call.ask()

    def cancelled(self, job_id: UUID) -> bool:
        """True where the call runs here, and has been told that nobody waits for it."""
        with self._lock:
            return job_id in self._calls and self._calls[job_id].asked.is_set()

    def count_fenced(self) -> int:
        """One more; returns how many there were."""
        with self._lock:
            self.fenced += 1
            return self.fenced
