"""Tells the console that calls have changed: one look a second at the newest events, for all viewers together.

A viewer is told that its tenant's calls changed, never what changed: its page asks again for what it shows. The same
look finds the viewers whose sign-in is over (signed out, or its key revoked), and their streams end.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from gateway.errors import Unavailable
from gateway.retry import repeat
from gateway.storage.database import Store
from ringback.statements.identity import console_sign_ins
from ringback.statements.jobs import changes

LOOK_SECONDS = 1.0
"""An operator does not see that a page is a second late."""
PACE_SECONDS = 2.0
"""Between two changes that one viewer is told: a busy system changes all the time, and a page is read more slowly."""
TICK_SECONDS = 10.0
"""A viewer asks again so often without a change: for what no event tells, such as how long ago a call was made."""
MAX_VIEWERS = 100
"""Streams of one gateway at once: each may cost it one per cent of a core."""


class ChangeFeed:
    """Feed for viewers. One task, `watch_events`, which looks while there are viewers, until it is cancelled.

    Args:
        is_over: whether the gateway is about to end: then its streams end, and viewers connect to another one.
    """

    def __init__(self, store: Store, is_over: Callable[[], bool]) -> None:
        self._store = store
        self._is_over = is_over
        self._viewers: Counter[bytes] = Counter()
        self._signed_out: frozenset[bytes] = frozenset()
        self._has_viewers = asyncio.Event()
        self._looked = asyncio.Event()
        self._last: int | None = None
        self._changes: Counter[str] = Counter()

    async def watch_events(self) -> None:
        """Look once a second while there are viewers."""
        await self._has_viewers.wait()
        await repeat(self.look, LOOK_SECONDS, "look for changes", self._has_viewers.wait)

    async def look(self) -> None:
        """Look once: which tenants' calls have changed since the look before, and which viewers are signed out."""
        viewers = list(self._viewers)
        valid = {row.hash for row in await self._store.rows(console_sign_ins.valid_among(viewers))}
        self._signed_out = frozenset(viewers) - valid
        if self._last is None:
            ((newest,),) = await self._store.rows(changes.newest_event())
            self._last = newest or 0
        for row in await self._store.rows(changes.changed_tenants(self._last)):
            self._changes[row.tenant] += 1
            self._last = max(self._last, row.newest)
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()

    def refuse_crowd(self) -> None:
        """Raise Unavailable if there are as many viewers as there may be."""
        if self._viewers.total() >= MAX_VIEWERS:
            raise Unavailable(f"{MAX_VIEWERS} pages follow this gateway already: reload this one to see what is new.")

    def is_signed_out(self, sign_in: bytes) -> bool:
        """Return whether the newest look found the sign-in of a viewer over."""
        return sign_in in self._signed_out

    async def follow(self, tenant: str, sign_in: bytes, tick_seconds: float = TICK_SECONDS) -> AsyncIterator[bool]:
        """Yield at once, and whenever the tenant's calls have changed (True) or a tick has passed (False).

        Ends when the gateway is about to, or the sign-in is over.

        Args:
            sign_in: hash of the viewer's cookie.
        """
        self._viewers[sign_in] += 1
        self._has_viewers.set()
        try:
            has_changed = True
            while not self._is_over() and not self.is_signed_out(sign_in):
                seen = self._changes[tenant]
                yield has_changed
                await asyncio.sleep(PACE_SECONDS)
                has_changed = await self._has_changed(tenant, sign_in, seen, tick_seconds - PACE_SECONDS)
        finally:
            self._viewers[sign_in] -= 1
            self._viewers += Counter()  # without those of no stream
            if not self._viewers:
                self._has_viewers.clear()

    async def _has_changed(self, tenant: str, sign_in: bytes, seen: int, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                while self._changes[tenant] == seen and not self.is_signed_out(sign_in):
                    await self._looked.wait()
        except TimeoutError:
            pass
        return self._changes[tenant] != seen
