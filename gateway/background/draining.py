"""How a gateway ends: readiness off, clients told, responses to their end, sessions left to be resumed elsewhere.

uvicorn closes every socket at once when it is told to stop, so this comes before: a first signal begins to drain, and
uvicorn is told when the last session has left or the time is up. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from gateway.live_sessions import SessionRegistry
from gateway.storage.database import Store
from ringback.statements.sessions import lifecycle

log = logging.getLogger(__name__)

GOODBYE_SECONDS = 5.0
"""Beyond the time that sessions are given: for the last of them to write down what it has heard, and to close."""


class Draining:
    """Whether this gateway is about to end, and how it goes about it."""

    def __init__(self, gateway_id: str, store: Store, live_sessions: SessionRegistry, seconds: float) -> None:
        self._gateway_id = gateway_id
        self._store = store
        self._live_sessions = live_sessions
        self._seconds = seconds
        self.has_begun = False

    async def drain(self) -> None:
        """Until no session is here, or its time is up."""
        self.has_begun = True
        log.info("ending: %d sessions have %g s to leave", len(self._live_sessions), self._seconds)
        self._live_sessions.ask_all_to_leave(self._seconds)
        try:
            await self._store.count(lifecycle.drain(self._gateway_id))
        except (SQLAlchemyError, OSError) as problem:
            log.warning("the rows do not say that this gateway is ending (%s)", type(problem).__name__)
        try:
            async with asyncio.timeout(self._seconds + GOODBYE_SECONDS):
                await self._live_sessions.emptied()
        except TimeoutError:
            log.warning("%d sessions have not left in time", len(self._live_sessions))
