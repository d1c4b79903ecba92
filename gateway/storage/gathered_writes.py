"""Runs what many sessions write at one time as one statement.

Messages, deliveries and moments are written behind a talk, and nothing waits for them. All sessions of a gateway write
theirs at the same beat. So a gateway runs a few of these statements a second, and waits for as many commits, however
many sessions it has (ADR 0089).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
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
    """Runs of one statement, each for another session, and what came of each once it is over."""

    of: dict[UUID, Bound]
    found: dict[UUID, list[Any] | Exception] = field(default_factory=dict)
    """Empty if the session that ran it for all was cancelled."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, session_id: UUID, statement: Bound) -> bool:
        """Add the run, if there is room and the session has none in it yet."""
        if session_id in self.of or len(self.of) >= SESSIONS_AT_ONCE:
            return False
        self.of[session_id] = statement
        return True

    def rows(self, session_id: UUID) -> list[Any]:
        found = self.found[session_id]
        if isinstance(found, Exception):
            raise found
        return found


class GatheredWrites:
    """Runner of statements that are the same for all sessions of a gateway.

    Such a statement takes lists, and returns `session_id` with each row.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next: dict[bytes, Batch] = {}
        """By its text, the batch of a statement that has not begun and takes more."""

    def of(self, session_id: UUID) -> Run:
        """Return the function that runs a statement of this session together with those of others."""
        return partial(self.rows, session_id)

    async def rows(self, session_id: UUID, statement: Bound) -> list[Any]:
        """Run the statement together with those of other sessions, and return the rows of this one.

        Raises:
            psycopg.Error, OSError: as `Store.rows`.
        """
        while (batch := self._next.get(statement.text)) is not None:
            is_in = batch.takes(session_id, statement)
            await batch.over.wait()
            if is_in and batch.found:
                return batch.rows(session_id)
        return await self._run_for_all(session_id, statement)

    async def _run_for_all(self, session_id: UUID, statement: Bound) -> list[Any]:
        """Wait for other sessions, and run theirs too. If this one is cancelled, one of them takes its place."""
        batch = self._next[statement.text] = Batch({session_id: statement})
        try:
            await asyncio.sleep(WINDOW_SECONDS)
            del self._next[statement.text]
            await self._run(batch)
            return batch.rows(session_id)
        finally:
            if self._next.get(statement.text) is batch:
                del self._next[statement.text]
            batch.over.set()

    async def _run(self, batch: Batch) -> None:
        try:
            found = await self._store.rows(joined(list(batch.of.values())))
        except psycopg.Error as problem:
            if len(batch.of) == 1 or is_cut(problem):
                batch.found = dict.fromkeys(batch.of, problem)
            else:  # what Postgres refuses of one session, or whose row is locked, holds up no other
                batch.found = {session_id: await self._alone(each) for session_id, each in batch.of.items()}
        except OSError as problem:
            batch.found = dict.fromkeys(batch.of, problem)
        else:
            of_each: dict[UUID, list[Any]] = {session_id: [] for session_id in batch.of}
            for row in found:
                of_each[row.session_id].append(row)
            batch.found = {**of_each}

    async def _alone(self, statement: Bound) -> list[Any] | Exception:
        try:
            return await self._store.rows(statement)
        except (psycopg.Error, OSError) as problem:
            return problem
