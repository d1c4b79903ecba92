"""Reads what happened to calls in other processes, for their traces: one statement for all calls that end at a time.

A trace is told behind the call, and nothing waits for it. So the calls of all sessions that end within
`GATHER_SECONDS` are read together: a statement for each would cost a busy gateway a twentieth of a call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from gateway.storage.database import Store
from ringback.statements.jobs.steps import steps_of

GATHER_SECONDS = 0.5
"""How long the first call waits for others; a trace may be so much late."""
READ_SECONDS = 2.0
"""What a read may take; after that traces are told without it."""

Steps = Mapping[UUID, Sequence[Any]]


@dataclass(slots=True, eq=False)
class Read:
    """One read: the calls that it is for, and what it has found once it is over; None if its caller was cancelled."""

    job_ids: set[UUID]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    steps: Steps | None = None


class StepReader:
    """Reader for all sessions of a gateway."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next: Read | None = None
        """The read that has not begun, and takes more calls; None: there is none."""

    async def gathered(self, job_id: UUID) -> Sequence[Any]:
        """Return the events of a job, oldest first, read together with those that other callers ask for."""
        while (read := self._next) is not None:
            read.job_ids.add(job_id)
            await read.over.wait()
            if read.steps is not None:
                return read.steps.get(job_id, ())
        return await self._read_for_all(job_id)

    async def _read_for_all(self, job_id: UUID) -> Sequence[Any]:
        """Wait for other callers, and read for them too. If this one is cancelled, one of them takes its place."""
        read = self._next = Read({job_id})
        try:
            await asyncio.sleep(GATHER_SECONDS)
            self._next = None
            read.steps = await self.of(read.job_ids)
            return read.steps.get(job_id, ())
        finally:
            if self._next is read:
                self._next = None
            read.over.set()

    async def of(self, job_ids: Collection[UUID]) -> Steps:
        """Return the events of these jobs, now; none if Postgres does not answer: then their traces show less."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                rows = await self._store.rows(steps_of(list(job_ids)))
        except (psycopg.Error, OSError):  # TimeoutError is among them
            return {}
        found = defaultdict[UUID, list[Any]](list)
        for row in rows:
            found[row.job_id].append(row)
        return found
