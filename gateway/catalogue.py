"""What workers serve now, for sessions that run: whoever comes with a new function need not wait for the next session.

Nothing is withdrawn. A worker that is away is back within seconds, as a rule, and its jobs wait; a function that comes
and goes with it would cost each session two updates.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from gateway.store import Store
from ringback.statements import processes
from ringback.tools import Announcement

if TYPE_CHECKING:  # a line has a catalogue
    from gateway.line import Beginning, Holder

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""A worker takes about as long to start; one statement for all sessions of a gateway is nothing."""


class Catalogue:
    """One task, `follow`. It runs until it is cancelled."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = asyncio.Event()
        self.tools: Mapping[str, Announcement] = {}

    async def follow(self) -> None:
        """Look again and again."""
        while True:
            try:
                rows = await self._store.rows(processes.live_tools())
            except (SQLAlchemyError, OSError) as problem:
                log.warning("what workers serve cannot be asked (%s)", type(problem).__name__)
            else:
                self._look_at({row.name: processes.announcement(row) for row in rows})
            await asyncio.sleep(LOOK_SECONDS)

    async def offer_to(self, holder: Holder) -> None:
        """Have a session offered what comes, until cancelled. It has just asked the table itself."""
        await asyncio.sleep(LOOK_SECONDS)
        while True:
            changed, came = self._changed, self._news_for(holder.beginning)
            if came:
                names = ", ".join(sorted(came))
                log.info("session %s is offered %s as well", holder.beginning.session_id, names)
            holder.beginning.tools.update(came)  # a conversation that is being opened looks there once it is open
            if came and holder.link is not None:
                await holder.perform(holder.link, holder.link.brain.tools_came(came, time.monotonic()))
            await changed.wait()

    def _look_at(self, tools: Mapping[str, Announcement]) -> None:
        if tools != self.tools:
            self.tools = tools
            self._changed.set()
            self._changed = asyncio.Event()

    def _news_for(self, beginning: Beginning) -> dict[str, Announcement]:
        return {
            name: tool
            for name, tool in self.tools.items()
            if beginning.may_have(tool) and beginning.tools.get(name) != tool
        }
