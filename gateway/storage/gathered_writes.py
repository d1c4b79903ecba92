"""Runs what many sessions write at one time as one statement.

Messages, deliveries and moments are written behind a talk, and nothing waits for them. All sessions of a gateway write
theirs at the same beat. So a gateway runs a few of these statements a second, and waits for as many commits, however
many sessions it has (ADR 0089).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from gateway.storage.database import Store
from gateway.storage.gathering import Gathering
from ringback.postgres.statement import Bound, joined

BEAT_SECONDS = 0.25
"""Between two beats: what is written is so much late at most."""
WINDOW_SECONDS = 0.005
"""How long the first session of a beat waits for the others, which wake at the same moment."""

T = TypeVar("T")
Run: TypeAlias = Callable[[Bound], Awaitable[list[Any]]]
"""Runs a statement of one session, and returns its rows."""


async def next_beat(seconds: float = BEAT_SECONDS) -> None:
    """Wait for the next beat of this process: every session that waits goes on at the same moment."""
    await asyncio.sleep(until_beat(asyncio.get_running_loop().time(), seconds))


def until_beat(now: float, seconds: float) -> float:
    """Return how long it is until the next beat; never 0, so that what a beat writes may gather until the next."""
    return seconds - now % seconds


def in_steps(waiting: Sequence[T], at_once: int) -> Iterator[Sequence[T]]:
    """Yield what waits in pieces of so many, for a statement each."""
    for first in range(0, len(waiting), at_once):
        yield waiting[first : first + at_once]


class GatheredWrites(Gathering):
    """Runner of statements that are the same for all sessions of a gateway.

    Such a statement takes lists, and returns `session_id` with each row.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store, joined, "session_id")

    def of(self, session_id: UUID) -> Run:
        """Return the function that runs a statement of this session together with those of others."""
        return SessionWrites(self, session_id).rows

    async def may_begin(self) -> None:
        """Wait for the other sessions of this beat."""
        await asyncio.sleep(WINDOW_SECONDS)


class SessionWrites:
    """Writes of one session. While a write of its own fails, it does not hold up those of others."""

    def __init__(self, gathered: GatheredWrites, session_id: UUID) -> None:
        self._gathered = gathered
        self._session_id = session_id
        self._is_held_up = False

    async def rows(self, statement: Bound) -> list[Any]:
        """Run the statement, together with those of other sessions if it can be; return the rows of this one.

        Raises:
            psycopg.Error, OSError: as `Store.rows`.
        """
        if not self._is_held_up:
            batch = await self._gathered.batch_with(self._session_id, statement)
            if batch.problem is not None:
                raise batch.problem
            if self._session_id in batch.found:
                return batch.found[self._session_id]
        self._is_held_up = True
        rows = await self._gathered.store.rows(statement)
        self._is_held_up = False
        return rows
