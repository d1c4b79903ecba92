"""Policy of the shutdown of a worker. Decides only, does no I/O; the times are a monotonic clock's.

asked once       running calls may finish, for `drain_seconds`
no call runs     Celery's warm shutdown has WARM_SECONDS to end; then the process ends itself
time is up       running calls are handed back to others, and the process ends
asked again      the same, at once
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

WARM_SECONDS = 2.0
"""Celery's shutdown without calls takes about a second; it was seen to hang."""
HAND_BACK_SECONDS = 4.5
"""For handing back and signing off; so a process has ended `drain_seconds` and 5 s after the request."""
SIGN_OFF_SECONDS = HAND_BACK_SECONDS - WARM_SECONDS
"""For signing off alone, as Celery has had its time before."""


class ShutdownStep(Enum):
    """Step to take now."""

    WAIT = auto()
    HAND_BACK = auto()
    EXIT = auto()


@dataclass(slots=True)
class ShutdownPolicy:
    """Policy of one process's shutdown.

    Args:
        began: when it was requested.
        drain_seconds: how long calls may go on.
    """

    began: float
    drain_seconds: float
    _idle_since: float | None = field(default=None, init=False)

    def next_step(self, now: float, *, asked: int, busy: bool) -> ShutdownStep:
        """Return the step to take. `asked`: how often the stop was requested; `busy`: whether any call runs."""
        if busy:
            self._idle_since = None
            over = asked > 1 or now - self.began >= self.drain_seconds
            return ShutdownStep.HAND_BACK if over else ShutdownStep.WAIT
        if self._idle_since is None:
            self._idle_since = now
        return ShutdownStep.EXIT if now - self._idle_since >= WARM_SECONDS else ShutdownStep.WAIT
