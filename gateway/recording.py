"""Calls on their way into their rows: at once where Postgres answers, and after a wait where it is away.

A call that waits too long is answered, so that the model has something to say, and the row that comes later says the
same. What was committed without our hearing of it is cancelled then: nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import DataError, SQLAlchemyError

from gateway.conversation.actions import RecordCall
from gateway.dispatch import Dispatch
from gateway.store import Store
from ringback.jobs import CancelReason
from ringback.statements import jobs

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_WAITING = 64
"""Calls of one session that wait for Postgres at once; one more is answered without waiting."""
AGAIN_SECONDS = 0.25
"""Between attempts: a Postgres that comes back should find the call waiting, not the caller."""
REMEMBER_SECONDS = 600.0
"""How long Postgres may be away without losing what the rows are still owed: a call that was answered without one,
and what was decided about a call."""


class Recording:
    """The calls of one session that are not committed yet.

    Args:
        tenant: whose session it is.
        epoch: tells the epoch in which the session is now.
        wait_seconds: how long a call may wait for Postgres before the model is answered.
    """

    def __init__(
        self, store: Store, dispatch: Dispatch, tenant: str, epoch: Callable[[], int], wait_seconds: float
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._tenant = tenant
        self._epoch = epoch
        self._wait_seconds = wait_seconds
        self._waiting = 0
        self._none_waits = asyncio.Event()
        self._none_waits.set()

    async def record(self, record: RecordCall, epoch: int) -> bool | None:
        """Commit the row of a call that was made in this epoch.

        False: it is recorded already, or the session is in another epoch, or another's. None: Postgres is away.
        """
        if self._waiting >= MAX_WAITING:
            return None
        self._waiting += 1
        self._none_waits.clear()
        try:
            return await self._insist(lambda: self._dispatch.record(record, epoch), self._wait_seconds)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._none_waits.set()

    async def settled(self) -> None:
        """Wait until no call is on its way: an epoch that began meanwhile would not know of it."""
        await self._none_waits.wait()

    async def remember(self, answered: RecordCall) -> bool:
        """The row of a call that was answered without one, for the history; True once it is there.

        Where there is a row after all, whoever would run it is told not to.
        """

        async def write() -> bool:
            if not await self._dispatch.record(answered, self._epoch()):
                await self._store.rows(jobs.cancel(answered.job.id, self._tenant, CancelReason.UNHEARD))
            return True

        return bool(await self._insist(write, REMEMBER_SECONDS))

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T | None:
        """Write it now, or as soon as Postgres is back; None where that takes too long.

        Nobody waits for this as for a call's row: what the user has decided must not be lost meanwhile.
        """
        return await self._insist(write, REMEMBER_SECONDS)

    async def _insist(self, write: Callable[[], Awaitable[T]], seconds: float) -> T | None:
        give_up = monotonic() + seconds
        while True:
            try:
                return await write()
            except DataError:
                log.exception("Postgres refuses a call, and always will")
                return None
            except (SQLAlchemyError, OSError) as problem:
                if monotonic() > give_up:
                    log.error("a call cannot be written down (%s)", type(problem).__name__)
                    return None
            await asyncio.sleep(AGAIN_SECONDS)
