"""Measures the queues: for calls, once a second while this gateway has sessions, and for a scrape of the metrics."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import psycopg

from gateway.retry import repeat
from gateway.storage.database import Store
from ringback.jobs.queue_wait import expected_wait
from ringback.statements.jobs import queues
from ringback.telemetry import metrics

LOOK_SECONDS = 1.0
"""Queues of voice calls fill within seconds; one statement a second for each gateway costs little."""
STALE_SECONDS = 5.0
"""An older measurement does not count: while Postgres is away the waits are unknown."""
SHOWN_SECONDS = 5.0
"""How long what a scrape has read is shown again: two Prometheus servers must not ask Postgres twice as often."""


class QueueMonitor:
    """Waits by queue. One task, `watch`, which runs until it is cancelled.

    Args:
        until_needed: waits until a session may ask; None: it may at any time.
    """

    def __init__(self, store: Store, until_needed: Callable[[], Awaitable[None]] | None = None) -> None:
        self._store = store
        self._until_needed = until_needed
        self._waits: Mapping[str, float | None] = {}
        self._seen_at = self._shown_at = float("-inf")
        self._shown: defaultdict[str, set[str]] = defaultdict(set)
        """Names that each gauge has shown: one that is gone by now is shown as 0."""

    def wait_seconds(self, queue: str) -> float | None:
        """Return how long one more call of this queue would wait for a worker; None if that is unknown."""
        if time.monotonic() - self._seen_at > STALE_SECONDS:
            return None
        return self._waits.get(queue)

    async def watch(self) -> None:
        """Measure all queues, once a second while a session may ask."""
        await repeat(self.measure, LOOK_SECONDS, "queue measurement", self._until_needed)

    async def measure(self) -> None:
        """Measure all queues once."""
        asked_at = time.monotonic()
        rows = await self._store.rows(queues.loads())
        self._waits = _by_queue(rows)
        self._seen_at = asked_at
        self._show("pending", {row.queue: row.pending for row in rows})
        self._show("running", {row.queue: row.running for row in rows})
        self._show("slots", {row.queue: row.slots for row in rows})

    async def show(self) -> None:
        """Bring the metrics of queues, breakers and waiting results up to date. If Postgres is away, they stay."""
        now = time.monotonic()
        if now - self._shown_at < SHOWN_SECONDS:
            return
        self._shown_at = now
        try:
            if now - self._seen_at > SHOWN_SECONDS:
                await self.measure()
            rows = await self._store.rows(queues.backlog())
        except (psycopg.Error, OSError):
            return
        for what in ("oldest", "breaker", "results"):
            self._show(what, {row.name: row.number for row in rows if row.what == what})

    def _show(self, what: str, numbers: Mapping[str, Any]) -> None:
        known = self._shown[what]
        known.update(numbers)
        for name in known:
            number = float(numbers.get(name, 0))
            match what:
                case "pending" | "running":
                    metrics.QUEUE_CALLS.set(number, name, what)
                case "slots":
                    metrics.QUEUE_SLOTS.set(number, name)
                case "oldest":
                    metrics.QUEUE_OLDEST.set(number, name)
                case "breaker":
                    metrics.BREAKER_OPEN.set(number, name)
                case "results":
                    metrics.RESULTS_WAITING.set(number)


def _by_queue(rows: Sequence[Any]) -> dict[str, float | None]:
    waits = {}
    for row in rows:
        mean, end_every = (None if each is None else float(each) for each in (row.mean_seconds, row.end_every))
        waits[row.queue] = expected_wait(int(row.pending), int(row.running), int(row.slots), mean, end_every)
    return waits
