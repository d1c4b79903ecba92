"""Calls on their way into their rows: at once where Postgres answers, and after a wait where it is away.

A call that waits too long is answered, so that the model has something to say. What the model is told depends on what
is known: a call that was never sent to Postgres was not run. One whose answer was lost may be running: where it may
not be repeated it waits for longer, as a call that runs does, and in the end its outcome is unknown (ADR 0034).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import DataError, SQLAlchemyError

from gateway.conversation.actions import RecordCall
from gateway.storage.database import Store, may_be_written
from gateway.storage.job_publisher import JobPublisher
from ringback.jobs.states import CancelReason, Effect
from ringback.statements.jobs import transitions

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_WAITING = 64
"""Calls of one session that wait for Postgres at once; one more is answered without waiting."""
AGAIN_SECONDS = 0.25
"""Between attempts: a Postgres that comes back should find the call waiting, not the caller."""
UNHEARD_SECONDS = 30.0
"""How much longer a call waits that may be recorded and must not be repeated: Postgres is mostly back by then, and the
caller hears what came of it instead of that nothing is known."""
REMEMBER_SECONDS = 600.0
"""How long Postgres may be away without losing what the rows are still owed: a call that was answered without one,
and what was decided about a call."""


class Recorded(Enum):
    """What is known of a call's row."""

    NEW = auto()
    """It is committed."""
    NOT_NEW = auto()
    """It was there already, or the session is in another epoch, or another gateway's."""
    NEVER = auto()
    """There is none: Postgres was not reached in time."""
    UNHEARD = auto()
    """Nothing: the statement was sent, and its answer was lost. The call may be running."""


class CallRecorder:
    """The calls of one session that are not committed yet.

    Args:
        tenant: whose session it is.
        epoch: tells the epoch in which the session is now.
        wait_seconds: how long a call may wait for Postgres before the model is answered.
    """

    def __init__(
        self, store: Store, publisher: JobPublisher, tenant: str, epoch: Callable[[], int], wait_seconds: float
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._tenant = tenant
        self._epoch = epoch
        self._wait_seconds = wait_seconds
        self._waiting = 0
        self._none_waits = asyncio.Event()
        self._none_waits.set()

    async def record(self, record: RecordCall, epoch: int) -> Recorded:
        """Commit the row of a call that was made in this epoch."""
        if self._waiting >= MAX_WAITING:
            return Recorded.NEVER
        self._waiting += 1
        self._none_waits.clear()
        may_be_there = False

        async def write() -> Recorded:
            nonlocal may_be_there
            try:
                return Recorded.NEW if await self._publisher.record(record, epoch) else Recorded.NOT_NEW
            except DataError:
                may_be_there = False  # Postgres refuses these very values: no earlier attempt has written them either
                raise
            except (SQLAlchemyError, OSError) as problem:
                may_be_there = may_be_there or may_be_written(problem)
                raise

        def seconds() -> float:
            return self._wait_seconds + (UNHEARD_SECONDS if may_be_there and must_not_be_repeated(record) else 0.0)

        try:
            known = await self._insist(write, seconds)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._none_waits.set()
        return known or (Recorded.UNHEARD if may_be_there else Recorded.NEVER)

    async def settled(self) -> None:
        """Wait until no call is on its way: an epoch that began meanwhile would not know of it."""
        await self._none_waits.wait()

    async def remember(self, answered: RecordCall) -> bool:
        """Settle the row of a call that was answered without one; True once it is settled.

        Where there is none, it is written as the history's, and forbids one that would come late. Where there is one,
        the call is cancelled; what must not be repeated only if it has not begun, as it cannot be taken back then.
        """
        job_id, pending_only = answered.job.id, must_not_be_repeated(answered)

        async def write() -> bool:
            if not await self._publisher.record(answered, self._epoch()):
                await self._store.rows(
                    transitions.cancel(job_id, self._tenant, CancelReason.UNHEARD, pending_only=pending_only)
                )
            return True

        return bool(await self._insist(write, lambda: REMEMBER_SECONDS))

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T | None:
        """Write it now, or as soon as Postgres is back; None where that takes too long.

        Nobody waits for this as for a call's row: what the user has decided must not be lost meanwhile.
        """
        return await self._insist(write, lambda: REMEMBER_SECONDS)

    async def _insist(self, write: Callable[[], Awaitable[T]], seconds: Callable[[], float]) -> T | None:
        began = monotonic()
        while True:
            try:
                return await write()
            except DataError:
                log.exception("Postgres refuses a call, and always will")
                return None
            except (SQLAlchemyError, OSError) as problem:
                if monotonic() - began > seconds():
                    log.error("a call cannot be written down (%s)", type(problem).__name__)
                    return None
            await asyncio.sleep(AGAIN_SECONDS)


def must_not_be_repeated(record: RecordCall) -> bool:
    """True where a second call of the same would change something once more: a new call has a new idempotency key."""
    tool = record.job.tool
    return tool is not None and tool.effect is not Effect.PURE
