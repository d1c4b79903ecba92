"""Full garbage collections of a gateway: as sessions and links end, and not as others begin.

CPython looks through all objects once there are a quarter more of them. In a gateway that is when sessions have begun:
nothing is found, and no frame passes meanwhile. What has to be found is what a session leaves when it ends: some 500
objects that refer to each other, 120 KB. A link to the Realtime API that a session goes on without leaves its part.
"""

from __future__ import annotations

import asyncio
import gc
import time

from gateway.live_sessions import SessionRegistry

NEVER = 2**31 - 1
"""Collections of the middle generation until CPython begins a full one: the largest number that it takes."""
LOOK_SECONDS = 1.0
LEAST_OVER, OVER_SHARE = 20, 4
"""Sessions and links that are over until it is worth a look: so many, and a quarter of the sessions that live, as each
of those makes the look longer."""
LONGEST_SECONDS = 600.0
"""Until the next in any case: what does not come from a session has to go, too."""


def leave_full_collections() -> None:
    """Have CPython begin no full collection by itself, and never look at what the process has started with."""
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)


def is_due(over: int, live: int, seconds: float) -> bool:
    """Return True if a collection is worth its time.

    Args:
        over: sessions that have ended since the last one, and links that sessions went on without.
        live: sessions that are here.
        seconds: since the last one.
    """
    return over >= max(LEAST_OVER, live // OVER_SHARE) or seconds >= LONGEST_SECONDS


class FullCollections:
    """Collector of one process."""

    def __init__(self, live_sessions: SessionRegistry) -> None:
        self._live_sessions = live_sessions

    async def keep_collecting(self) -> None:
        """Look once a second whether a collection is due."""
        sessions = self._live_sessions
        over, last = sessions.over, time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if is_due(sessions.over - over, len(sessions), time.monotonic() - last):
                over = sessions.over
                gc.collect()
                last = time.monotonic()
