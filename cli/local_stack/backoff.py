"""Pauses before a process that has ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE_SECONDS = 1.0
"""The pause before the first restart. A start costs two seconds of a core, which the others may need."""
LONGEST_PAUSE_SECONDS = 30.0
"""Each pause is twice the one before, up to this."""
HEALTHY_SECONDS = 60.0
"""After a process ran for so long, its pauses begin with the first again."""


BLAMELESS_SECONDS = 3.0
"""A process that served for so long and was killed by SIGKILL did not fail: it is started again without a pause."""


@dataclass(slots=True)
class Backoff:
    """Pauses before one process is restarted; times are of a monotonic clock."""

    started: float
    _pause: float = FIRST_PAUSE_SECONDS / 2

    def pause(self, now: float, *, killed: bool = False) -> float:
        """Return how long to wait before the next start; the process has ended at `now`.

        Args:
            killed: by SIGKILL, which comes from outside.
        """
        if killed and now - self.started >= BLAMELESS_SECONDS:
            return 0.0
        healthy = now - self.started >= HEALTHY_SECONDS
        self._pause = FIRST_PAUSE_SECONDS if healthy else min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return self._pause
