"""Reads what happened to calls in other processes, for their traces: one statement for all calls that end at a time.

A trace is told behind the call, and nothing waits for it. So the calls of all sessions that end within
`GATHER_SECONDS` are read together: a statement for each would cost a busy gateway a twentieth of a call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg

from gateway.storage.database import Store
from gateway.storage.gathering import Gathering
from ringback.postgres.statement import joined
from ringback.statements.jobs.steps import steps_of

GATHER_SECONDS = 0.5
"""How long the first call waits for others; a trace may be so much late."""
READ_SECONDS = 2.0
"""What a read of a session that leaves may take; after that its traces are told without it."""


class StepReader(Gathering):
    """Reader for all sessions of a gateway. If Postgres does not answer, it finds none: then traces show less."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, joined, "job_id")

    async def gathered(self, job_id: UUID) -> Sequence[Any]:
        """Return the events of a job, oldest first, read together with those that other callers ask for."""
        batch = await self.batch_with(job_id, steps_of([job_id]))
        if not batch.has_begun:  # the caller that was to read for all is gone: another one takes its place
            return await self.gathered(job_id)
        return batch.found.get(job_id, ())

    async def may_begin(self) -> None:
        """Wait for the calls that end soon after this one."""
        await asyncio.sleep(GATHER_SECONDS)

    async def of(self, job_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Any]]:
        """Return the events of these jobs, now."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                rows = await self.store.rows(steps_of(list(job_ids)))
        except (psycopg.Error, OSError):  # TimeoutError is among them
            return {}
        found = defaultdict[UUID, list[Any]](list)
        for row in rows:
            found[row.job_id].append(row)
        return found
