"""Drains the gateway before it ends: it is not ready any more, and its sessions leave, to be resumed elsewhere.

uvicorn closes every socket at once when it is told to stop. So the first signal begins to drain, and uvicorn is told to
stop when the last session has left or the time is up. A second signal ends the gateway at once.
"""

from __future__ import annotations

import asyncio
import logging

import psycopg

from gateway.live_sessions import SessionRegistry
from gateway.storage.database import Store
from ringback.statements.sessions import lifecycle

log = logging.getLogger(__name__)

GOODBYE_SECONDS = 5.0
"""Beyond the time that sessions are given: for the last one to write what it has heard, and to close."""


class Draining:
    """Drain of one gateway: `has_begun` says whether it is about to end."""

    def __init__(self, gateway_id: str, store: Store, live_sessions: SessionRegistry, seconds: float) -> None:
        self._gateway_id = gateway_id
        self._store = store
        self._live_sessions = live_sessions
        self._seconds = seconds
        self.has_begun = False

    async def drain(self) -> None:
        """Ask all sessions to leave, and wait until none is here or the time is up."""
        self.has_begun = True
        log.info("draining: %d sessions have %g s to leave", len(self._live_sessions), self._seconds)
        self._live_sessions.ask_all_to_leave(self._seconds)
        try:
            await self._store.count(lifecycle.drain(self._gateway_id))
        except (psycopg.Error, OSError) as problem:
            log.warning("drain not written into the rows (%s); draining all the same", type(problem).__name__)
        try:
            async with asyncio.timeout(self._seconds + GOODBYE_SECONDS):
                await self._live_sessions.emptied()
        except TimeoutError:
            log.warning(
                "drain incomplete: %d sessions have not left in time; ending all the same", len(self._live_sessions)
            )
