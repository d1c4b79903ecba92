"""Runs what several tasks ask of Postgres at one time as one statement.

What a statement costs depends little on its rows: the most of it are the commit, the round trip, and what each process
does to begin one. So runs of one statement gather in a batch. The first task of a batch runs it for the others. If that
one is cancelled meanwhile, as its client hangs up, the statement goes on for them.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

import psycopg

from gateway.storage.database import Store
from ringback.postgres.connections import is_cut
from ringback.postgres.statement import Bound

RUNS_AT_ONCE = 100
"""Runs of one statement: it locks the rows of their sessions, and its values travel in one message."""
PATIENCE_SECONDS = 0.25
"""How long a batch waits for the one under way: if Postgres is slow with that one, it may be quick with others."""

Join: TypeAlias = Callable[[Sequence[Bound]], Bound]
"""Returns one run in the place of several."""


@dataclass(slots=True, eq=False)
class Batch:
    """Runs of one statement, by key, and what came of each once it is over.

    Args:
        found: rows of each run. One that is missing was not run: the batch failed, or left it out.
        problem: why Postgres did not answer, or refused a run that was alone.
    """

    of: dict[UUID, Bound]
    found: dict[UUID, list[Any]] = field(default_factory=dict)
    problem: Exception | None = None
    has_begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, key: UUID, statement: Bound) -> bool:
        """Add the run, if there is room and none of this key is in it yet."""
        if key in self.of or len(self.of) >= RUNS_AT_ONCE:
            return False
        self.of[key] = statement
        return True

    async def wait(self, key: UUID) -> None:
        """Wait until it is over. If the task is cancelled, its run is withdrawn, or over: what it writes then comes
        last."""
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            if self.has_begun:
                await self.over.wait()
            else:
                del self.of[key]
            raise


class Gathering(ABC):
    """Gatherer of runs. A run that is alone is run as it is.

    Args:
        join: puts several together.
        key: the column of the rows of several that says to which run each belongs.
        leaves_out: if a joined run has no row, it is not done, and not known to have none.
    """

    def __init__(self, store: Store, join: Join, key: str, *, leaves_out: bool = False) -> None:
        self.store = store
        self._join = join
        self._key = key
        self._leaves_out = leaves_out
        self._next: dict[bytes, Batch] = {}
        """By its text, the batch of a statement that has not begun and takes more."""

    @abstractmethod
    async def may_begin(self) -> None:
        """Wait until a batch is to begin."""

    async def batch_with(self, key: UUID, statement: Bound) -> Batch:
        """Run the statement together with those of other tasks; return their batch, which is over."""
        batch = self._next.get(statement.text)
        if batch is not None and batch.takes(key, statement):
            await batch.wait(key)
            return batch
        batch = self._next[statement.text] = Batch({key: statement})
        try:
            await self.may_begin()
            self._close(statement.text, batch)
            await self.run(batch)
        finally:
            self._close(statement.text, batch)
            batch.over.set()
        return batch

    async def run(self, batch: Batch) -> None:
        """Run the batch, to its end if it is for others too: only then may the task be cancelled."""
        batch.has_begun = True
        if len(batch.of) == 1:
            await self._ask(batch)
            return
        task, cancelled = asyncio.create_task(self._ask(batch)), None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as problem:
                cancelled = problem
        if cancelled is not None:
            raise cancelled
        task.result()

    async def _ask(self, batch: Batch) -> None:
        """Ask Postgres. If it refuses, because of one run or of a lock, each of several is to be run alone."""
        runs = list(batch.of.values())
        try:
            rows = await self.store.rows(runs[0] if len(runs) == 1 else self._join(runs))
        except Exception as problem:
            is_away = isinstance(problem, OSError) or (isinstance(problem, psycopg.Error) and is_cut(problem))
            if is_away or len(runs) == 1:
                batch.problem = problem
            return
        if len(runs) == 1:
            batch.found = dict.fromkeys(batch.of, rows)
            return
        batch.found = {} if self._leaves_out else {key: [] for key in batch.of}
        for row in rows:
            batch.found.setdefault(getattr(row, self._key), []).append(row)

    def _close(self, text: bytes, batch: Batch) -> None:
        if self._next.get(text) is batch:
            del self._next[text]


class GatheredRuns(Gathering):
    """Gatherer of the runs of one statement that come while another is under way (group commit).

    A run that is alone waits for nothing, not for a turn of the event loop either. The more come at a time, and the
    longer Postgres takes, the more are in one statement.
    """

    _under_way: Batch | None = None

    async def rows(self, key: UUID, statement: Bound) -> list[Any]:
        """Run the statement, together with others if it can be; return its rows.

        Raises:
            psycopg.Error, OSError: as `Store.rows`.
        """
        batch = await self.batch_with(key, statement)
        if batch.problem is not None:
            raise batch.problem
        if key in batch.found:
            return batch.found[key]
        return await self.store.rows(statement)

    @property
    def is_idle(self) -> bool:
        """True if a run is sent to Postgres at once."""
        return self._under_way is None or self._under_way.over.is_set()

    async def may_begin(self) -> None:
        """Wait for the batch under way."""
        if not self.is_idle:
            assert self._under_way is not None  # noqa: S101
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._under_way.over.wait()

    async def run(self, batch: Batch) -> None:
        """Run the batch; the next one waits for it."""
        self._under_way = batch
        await super().run(batch)
