"""Runs this process's share of the sweeps that the processes do for each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from gateway.storage.database import Store
from gateway.storage.job_publisher import JobPublisher
from ringback.config.settings import SWEEP_SECONDS
from ringback.statements.sessions.calls import LEFT_SECONDS
from ringback.sweeper import PASSING, TASKS, Ask, Count, Log, Look, Notify, Publish, Run, Step, Sweeping, Wake
from ringback.telemetry import metrics

log = logging.getLogger(__name__)


class LeaseKeeper:
    """One task, `sweep`, which runs until it is cancelled.

    `work` holds an event for each of `ringback.sweeper.TASKS`, set when a look has found work for that task.

    Args:
        store: on a connection that is shared with no other task.
        call_left: what is left of the lease of a gateway whose calls others take (`calls.unattended`).
    """

    def __init__(
        self, gateway_id: str, store: Store, publisher: JobPublisher, *, call_left: float = LEFT_SECONDS
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._sweeping = Sweeping(gateway_id, is_gateway=True, left=call_left)
        self.work = {task: asyncio.Event() for task in TASKS}

    async def sweep(self) -> None:
        """Publish unclaimed jobs, take back the jobs of dead workers, time out overdue ones."""
        pause = SWEEP_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = await self._sweep_once(self._sweeping.look())

    async def _sweep_once(self, look: Look) -> float:
        """Run the steps of one sweep. Return how many seconds to wait before the next one."""
        answer: Any = None
        try:
            while True:
                answer = await self._run_step(look.send(answer))
        except StopIteration as over:
            return float(over.value)

    async def _run_step(self, step: Step) -> Any:
        match step:
            case Run():
                return await self._run_statement(step)
            case Ask(commands):
                return await self._publisher.redis.run(commands)
            case Publish(jobs):
                published = await self._publish(jobs)
                metrics.REPUBLISHED.inc(by=published)
                return published
            case Count(what, rows):
                metrics.count_rescues(what, rows)
            case Notify(gateway_id, session_id):
                await self._publisher.redis.notify(gateway_id, session_id)
            case Log(text):
                log.info("%s", text)
            case Wake(tasks):
                for task in tasks:
                    self.work[task].set()
        return None

    async def _run_statement(self, step: Run) -> Sequence[Any] | None:
        """Run the statement of a step. If it fails, log it and return None: the next step runs all the same."""
        try:
            if step.returns:
                return await self._store.rows(step.statement)
            await self._store.count(step.statement)
        except (psycopg.Error, OSError) as problem:
            if getattr(problem, "sqlstate", None) not in PASSING:
                log.warning(
                    "sweep step failed: %s (%s); the next sweep runs it again", step.name, type(problem).__name__
                )
            return None
        return []

    async def _publish(self, jobs: Iterable[tuple[UUID, str]]) -> int:
        """Publish the jobs, each at most twice, as a connection may have gone stale. Stop at the first that fails.

        A broker that refuses one message refuses all.
        """
        published = 0
        for job in jobs:
            if not (await self._publisher.publish(*job) or await self._publisher.publish(*job)):
                break
            published += 1
        return published
