"""When a worker that was told to stop does what. Decides, and does nothing; the times are a monotonic clock's.

asked once       calls that run may finish, for `drain_seconds`
nothing runs     Celery's own warm shutdown has WARM_SECONDS to end; then the process ends itself
time is up       what still runs is handed back to others, and the process ends
asked again      the same, at once
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

WARM_SECONDS = 2.0
"""What Celery takes to shut down with nothing to do is about a second; seen to take for ever."""
HAND_BACK_SECONDS = 4.5
"""For handing back and signing off; so a process has ended `drain_seconds` and 5 s after it was asked to."""
SIGN_OFF_SECONDS = HAND_BACK_SECONDS - WARM_SECONDS
"""For signing off alone, as Celery has had its time before."""


class ShutdownStep(Enum):
    """What is to be done now."""

    WAIT = auto()
    HAND_BACK = auto()
    EXIT = auto()


@dataclass(slots=True)
class ShutdownPolicy:
    """The end of one process, from when it was asked for.

    Args:
        began: when that was.
        drain_seconds: how long calls may go on.
    """

    began: float
    drain_seconds: float
    _idle_since: float | None = field(default=None, init=False)

    def turn(self, now: float, *, asked: int, busy: bool) -> ShutdownStep:
        """`asked`: how often the end was asked for; `busy`: whether anything runs."""
        if busy:
            self._idle_since = None
            over = asked > 1 or now - self.began >= self.drain_seconds
            return ShutdownStep.HAND_BACK if over else ShutdownStep.WAIT
        if self._idle_since is None:
            self._idle_since = now
        return ShutdownStep.EXIT if now - self._idle_since >= WARM_SECONDS else ShutdownStep.WAIT
