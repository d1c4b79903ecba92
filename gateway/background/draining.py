"""How a gateway ends: readiness off, clients told, responses to their end, sessions left to be resumed elsewhere.

uvicorn closes every socket at once when it is told to stop, so this comes before: a first signal begins to drain, and
uvicorn is told when the last session has left or the time is up. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import uvicorn
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


class DrainingServer(uvicorn.Server):
    """uvicorn, told to stop only when `drain` is done."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None
        self._asked = False

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """uvicorn's own hook: from here on there is something to drain."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's own hook, called in a signal handler."""
        if self._asked or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._asked = True
        self._loop.call_soon_threadsafe(self._begin, sig)

    def _begin(self, sig: int) -> None:
        self._draining = asyncio.get_running_loop().create_task(self._drain_then_exit(sig))

    async def _drain_then_exit(self, sig: int) -> None:
        try:
            await self._drain()
        finally:
            super().handle_exit(sig, None)
