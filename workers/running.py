"""What this process is running now: whom to tell when nobody waits for a call any more, and how much was dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from uuid import UUID


class Running:
    """The calls under way, by job. Used by many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[UUID, Event] = {}
        self.fenced = 0
        """Outcomes that came too late: the job was no longer this process's to finish."""

    def __len__(self) -> int:
        return len(self._calls)

    @contextmanager
    def started(self, job_id: UUID) -> Iterator[Event]:
        """Under way for as long as the context; yields the event that says that nobody waits any more."""
        cancelled = Event()
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
            for job_id in job_ids:
                if job_id in self._calls:
                    self._calls[job_id].set()

    def count_fenced(self) -> int:
        """One more; returns how many there were."""
        with self._lock:
            self.fenced += 1
            return self.fenced
