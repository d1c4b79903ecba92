"""When a process may no longer act on its own lease. Pure: the time comes in as an argument.

A process that could not renew in time stops by itself, before others take over what it held. Whether *others* are
lost is Postgres' to say: see `ringback.statements.processes.is_steady`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.settings import STOP_BEFORE_SECONDS


@dataclass(slots=True)
class LeaseClock:
    """A process's view of its own lease; times are seconds of a monotonic clock, read before a renewal is sent."""

    renewed_at: float

    def renewed(self, now: float) -> None:
        """A renewal that was sent at `now` has succeeded."""
        self.renewed_at = now

    def must_stop(self, now: float) -> bool:
        """True where what is held under this lease may be given to others at any moment."""
        return now - self.renewed_at > STOP_BEFORE_SECONDS
