"""Takes over the live calls of gateways that are gone, so that their callers are answered.

The rows say which calls no gateway attends to (`ringback.statements.sessions.calls`): those of a gateway that was
killed or is silent, two seconds after its last renewal, and those that a gateway gave up when it was told to stop. Each
is taken in its next epoch, so what the old gateway still writes changes no row.
"""

from __future__ import annotations

import asyncio
import logging

from gateway.calls.desk import CallDesk
from gateway.retry import once_set, repeat
from ringback.statements.sessions import calls

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""Between two attempts to take what a look has found."""


class CallTakeover:
    """One task, `take`, which runs until it is cancelled.

    Args:
        due: set when a look has found a call that no gateway attends to.
        left: as in `calls.unattended`.
    """

    def __init__(self, desk: CallDesk, due: asyncio.Event, left: float = calls.LEFT_SECONDS) -> None:
        self._desk = desk
        self._due = once_set(due)
        self._left = left

    async def take(self) -> None:
        """Take calls over as they are found."""
        await self._due()
        await repeat(self.take_some, LOOK_SECONDS, "take-over of calls", self._due)

    async def take_some(self) -> bool:
        """Take a number of calls over, if there is room here; return True if there may be more."""
        admission = self._desk.admission
        if self._desk.is_silent or admission.why_not() is not None:
            return False
        gateway = admission.gateway
        rows = await gateway.store.rows(calls.take(gateway.gateway_id, self._left))
        for row in rows:
            log.info("call taken over: session %s, as epoch %d", row.id, row.epoch)
            self._desk.run(admission.take_call(row))
        return len(rows) == calls.TAKE_AT_ONCE
