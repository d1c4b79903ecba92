"""This process's lease, and its share of the sweeping that every process does for all.

A gateway whose lease cannot be renewed keeps its conversations: while Postgres is away nobody can take them over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time

from sqlalchemy.exc import SQLAlchemyError

from gateway.dispatch import Dispatch
from gateway.store import Store
from ringback.lease import LeaseClock
from ringback.settings import RENEW_SECONDS, SWEEP_SECONDS
from ringback.statements import processes, sweeps

log = logging.getLogger(__name__)


class Keeper:
    """Two tasks: `renew` and `sweep`. Both run until they are cancelled."""

    def __init__(self, gateway_id: str, store: Store, dispatch: Dispatch) -> None:
        self._gateway_id = gateway_id
        self._store = store
        self._dispatch = dispatch
        self._lease = LeaseClock(time.monotonic())

    @property
    def is_current(self) -> bool:
        """False where Postgres has not been heard of for too long to take new sessions."""
        return not self._lease.must_stop(time.monotonic())

    async def register(self) -> None:
        """The gateway begins."""
        began = time.monotonic()
        await self._store.count(processes.register(self._gateway_id, "gateway", socket.gethostname(), os.getpid()))
        self._lease = LeaseClock(began)

    async def renew(self) -> None:
        """Renew the lease, once a second."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            began = time.monotonic()
            try:
                if await self._store.count(processes.renew(self._gateway_id)):
                    self._lease.renewed(began)
            except (SQLAlchemyError, OSError) as problem:
                log.warning("the lease cannot be renewed (%s)", type(problem).__name__)

    async def sweep(self) -> None:
        """Publish what nobody claimed, take back what the dead held, time out what is overdue."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._sweep_once()
            except (SQLAlchemyError, OSError) as problem:
                log.warning("the sweep is put off (%s)", type(problem).__name__)

    async def retire(self) -> None:
        """The gateway ends in order: what it held may be taken at once."""
        try:
            await self._store.count(processes.retire(self._gateway_id))
        except (SQLAlchemyError, OSError) as problem:
            log.warning("the lease runs out by itself (%s)", type(problem).__name__)

    async def _sweep_once(self) -> None:
        for taken in await self._store.rows(sweeps.take_back_lost(self._gateway_id)):
            log.warning("job %s was taken back from a lost worker: %s", taken.id, taken.state)
        for overdue in await self._store.rows(sweeps.time_out_overdue()):
            log.warning("job %s is overdue: %s", overdue.id, overdue.state)
        for lost in await self._store.rows(sweeps.let_go_lost_sessions(self._gateway_id)):
            log.warning("session %s has ended with its gateway", lost.id)
        await self._store.count(sweeps.keep_late_answers())
        await self._store.count(processes.forget_old())
        for due in await self._store.rows(sweeps.publish_due()):
            await self._dispatch.publish(due.id, due.queue)
