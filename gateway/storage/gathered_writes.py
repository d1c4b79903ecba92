"""Runs what many sessions write at one time as one statement.

Messages, deliveries and moments are written behind a talk, and nothing waits for them. All sessions of a gateway write
theirs at the same beat. So a gateway runs a few of these statements a second, and waits for as many commits, however
many sessions it has (ADR 0089).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

import psycopg

from gateway.storage.database import Store
from ringback.postgres.connections import is_cut
from ringback.postgres.statement import Bound, joined

BEAT_SECONDS = 0.25
"""Between two beats: what is written is so much late at most."""
WINDOW_SECONDS = 0.005
"""How long the first session of a beat waits for the others, which wake at the same moment."""
SESSIONS_AT_ONCE = 100
"""Sessions of one statement: it locks their rows, and its values travel in one message."""

Run: TypeAlias = Callable[[Bound], Awaitable[list[Any]]]
"""Runs a statement of one session, and returns its rows."""


async def next_beat(seconds: float = BEAT_SECONDS) -> None:
    """Wait for the next beat of this process: every session that waits goes on at the same moment."""
    await asyncio.sleep(until_beat(asyncio.get_running_loop().time(), seconds))


def until_beat(now: float, seconds: float) -> float:
    """Return how long it is until the next beat; never 0, so that what a beat writes may gather until the next."""
    return seconds - now % seconds


@dataclass(slots=True, eq=False)
class Batch:
    """Runs of one statement, each for another session, and what came of each once it is over.

    Args:
        found: rows of each session; none if the batch failed, or was not run: then each runs its own.
        problem: why Postgres did not answer. It is away for all of them.
    """

    of: dict[UUID, Bound]
    found: dict[UUID, list[Any]] = field(default_factory=dict)
    problem: Exception | None = None
    has_begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, session_id: UUID, statement: Bound) -> bool:
        """Add the run, if there is room and the session has none in it yet."""
        if session_id in self.of or len(self.of) >= SESSIONS_AT_ONCE:
            return False
        self.of[session_id] = statement
        return True

    async def wait(self, session_id: UUID) -> None:
        """Wait until it is over. If the session is cancelled, its run is withdrawn, or over: what it writes then comes
        last."""
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            if self.has_begun:
                await self.over.wait()
            else:
                del self.of[session_id]
            raise


class GatheredWrites:
    """Runner of statements that are the same for all sessions of a gateway.

    Such a statement takes lists, and returns `session_id` with each row.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._next: dict[bytes, Batch] = {}
        """By its text, the batch of a statement that has not begun and takes more."""

    def of(self, session_id: UUID) -> Run:
        """Return the function that runs a statement of this session together with those of others."""
        return SessionWrites(self, session_id).rows

    async def batch_with(self, session_id: UUID, statement: Bound) -> Batch:
        """Run the statement together with those of other sessions; return their batch, which is over."""
        batch = self._next.get(statement.text)
        if batch is not None and batch.takes(session_id, statement):
            await batch.wait(session_id)
            return batch
        batch = self._next[statement.text] = Batch({session_id: statement})
        try:
            await asyncio.sleep(WINDOW_SECONDS)
            self._close(statement.text, batch)
            await self._run(batch)
        finally:
            self._close(statement.text, batch)
            batch.over.set()
        return batch

    def _close(self, text: bytes, batch: Batch) -> None:
        if self._next.get(text) is batch:
            del self._next[text]

    async def _run(self, batch: Batch) -> None:
        batch.has_begun = True
        try:
            rows = await self.store.rows(joined(list(batch.of.values())))
        except Exception as problem:
            if isinstance(problem, OSError) or (isinstance(problem, psycopg.Error) and is_cut(problem)):
                batch.problem = problem
            return  # what Postgres refuses of one session, or whose row is locked, holds up no other
        batch.found = {session_id: [] for session_id in batch.of}
        for row in rows:
            batch.found[row.session_id].append(row)


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
