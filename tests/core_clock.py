"""A clock that stands still while what it watches waits for a core: a bound in seconds holds on a busy machine, too.

Linux tells of each thread how long it could have run while another one had the core. Elsewhere, and of processes of
other machines, nothing is known: then this is the clock on the wall.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic

NANOSECONDS = 1_000_000_000


class CoreClock:
    """Clock of this process and of others. Those that have ended waited for as long as was last seen.

    Args:
        pids: of the others.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = (os.getpid(), *pids)
        self._waited: dict[Path, int] = {}
        self._began, self._before = monotonic(), self._waited_so_far()

    @property
    def seconds(self) -> float:
        """Seconds since it was made, but for those in which one of them waited for a core."""
        return monotonic() - self._began - (self._waited_so_far() - self._before)

    def _waited_so_far(self) -> float:
        for pid in self._pids:
            for told in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with suppress(OSError):  # the thread has ended since
                    self._waited[told] = int(told.read_text().split()[1])
        return sum(self._waited.values()) / NANOSECONDS
