"""Measures once a second how long a call of each queue would wait for a worker, while this gateway has sessions."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gateway.retry import repeat
from gateway.storage.database import Store
from ringback.jobs.queue_wait import expected_wait
from ringback.statements.jobs import queues

LOOK_SECONDS = 1.0
"""Queues of voice calls fill within seconds; one statement a second for each gateway costs little."""
STALE_SECONDS = 5.0
"""An older measurement does not count: while Postgres is away the waits are unknown."""


class QueueMonitor:
    """Waits by queue. One task, `watch`, which runs until it is cancelled.

    Args:
        until_needed: waits until a session may ask; None: it may at any time.
    """

    def __init__(self, store: Store, until_needed: Callable[[], Awaitable[None]] | None = None) -> None:
        self._store = store
        self._until_needed = until_needed
        self._waits: Mapping[str, float | None] = {}
        self._seen_at = float("-inf")

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
        self._waits = _by_queue(await self._store.rows(queues.loads()))
        self._seen_at = asked_at


def _by_queue(rows: Sequence[Any]) -> dict[str, float | None]:
    waits = {}
    for row in rows:
        mean, end_every = (None if each is None else float(each) for each in (row.mean_seconds, row.end_every))
        waits[row.queue] = expected_wait(int(row.pending), int(row.running), int(row.slots), mean, end_every)
    return waits
