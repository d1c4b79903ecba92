"""Calls that run in this process: their cancellation, and the count of fenced outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from uuid import UUID


class Cancellation:
    """Cancellation of one call. The code that runs the call can be woken by it."""

    def __init__(self) -> None:
        self.requested = Event()
        self._lock = Lock()
        self._callbacks: list[Callable[[], object]] = []

    def ask(self) -> None:
        """Cancel the call."""
        with self._lock:
            self.requested.set()
            waiting, self._callbacks = self._callbacks, []
        for call in waiting:
            call()

    def on_cancel(self, call: Callable[[], object]) -> None:
        """Call `call` once the call is cancelled; at once, if it already is."""
        with self._lock:
            if not self.requested.is_set():
                self._callbacks.append(call)
                return
        call()


class InFlightCalls:
    """Running calls. Used by many threads.

    A job may be here twice for a moment: once it is given back, another thread may run it before the first has left.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[Cancellation, UUID] = {}
        self.fenced = 0
        """Outcomes that came too late: this process no longer held the job."""

    def __len__(self) -> int:
        return len(self._calls)

    @contextmanager
    def started(self, job_id: UUID) -> Iterator[Cancellation]:
        """Keep the call in the list for the duration of the context. Yields its cancellation."""
        cancellation = Cancellation()
        with self._lock:
            self._calls[cancellation] = job_id
        try:
            yield cancellation
        finally:
            with self._lock:
                del self._calls[cancellation]

    def cancel(self, job_ids: Iterable[UUID]) -> None:
        """Cancel these calls, if they run here."""
        wanted = frozenset(job_ids)
        with self._lock:
            calls = [call for call, job_id in self._calls.items() if job_id in wanted]
        for call in calls:
            call.ask()

    def cancelled(self, job_id: UUID) -> bool:
        """Return true if the call runs here and is cancelled."""
        with self._lock:
            return any(call.requested.is_set() for call, running in self._calls.items() if running == job_id)

    def count_fenced(self) -> int:
        """Count one more; return how many there were."""
        with self._lock:
            self.fenced += 1
            return self.fenced
