"""This process's share of the sweeping that every process does for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from gateway.storage.database import Store
from gateway.storage.job_publisher import JobPublisher
from ringback.config.settings import SWEEP_SECONDS
from ringback.sweeper import PASSING, Ask, Look, Publish, Ring, Run, Step, Sweeping, Tell

log = logging.getLogger(__name__)


class LeaseKeeper:
    """One task, `sweep`, which runs until it is cancelled.

    Args:
        store: on a connection that waits behind nothing else.
    """

    def __init__(self, gateway_id: str, store: Store, publisher: JobPublisher) -> None:
        self._store = store
        self._publisher = publisher
        self._sweeping = Sweeping(gateway_id)

    async def sweep(self) -> None:
        """Publish what nobody claimed, take back what the dead held, time out what is overdue."""
        pause = SWEEP_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = await self._carry_out(self._sweeping.look())

    async def _carry_out(self, look: Look) -> float:
        """One look; returns how many seconds to wait before the next one."""
        answer: Any = None
        try:
            while True:
                answer = await self._do(look.send(answer))
        except StopIteration as over:
            return float(over.value)

    async def _do(self, step: Step) -> Any:
        match step:
            case Run():
                return await self._run(step)
            case Ask(commands):
                return await self._publisher.bell.ask(commands)
            case Publish(jobs):
                return await self._publish(jobs)
            case Ring(gateway_id, session_id):
                await self._publisher.bell.ring(gateway_id, session_id)
            case Tell(text):
                log.info("%s", text)
        return None

    async def _run(self, step: Run) -> Sequence[Any] | None:
        """A step that fails ends no round: it is told, and the next one is taken."""
        try:
            if step.returns:
                return await self._store.rows(step.statement)
            await self._store.count(step.statement)
        except (SQLAlchemyError, OSError) as problem:
            if getattr(getattr(problem, "orig", None), "sqlstate", None) not in PASSING:
                log.warning("the sweep could not %s (%s); it tries again", step.name, type(problem).__name__)
            return None
        return []

    async def _publish(self, jobs: Iterable[tuple[UUID, str]]) -> int:
        """A broker that refuses one message refuses them all. Once more, as a connection may have gone stale."""
        published = 0
        for job in jobs:
            if not (await self._publisher.publish(*job) or await self._publisher.publish(*job)):
                break
            published += 1
        return published
