"""When a process may act on what it knows of its own lease. Pure: the time comes in as an argument.

A process that could not renew in time stops by itself before others take over what it held, and one that has just
come back (or whose Postgres has) lets the others renew before it declares anybody lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.settings import LEASE_SECONDS, STOP_BEFORE_SECONDS


@dataclass(slots=True)
class LeaseClock:
    """A process's view of its own lease; times are seconds of a monotonic clock, read before each renewal is sent."""

    renewed_at: float
    steady_since: float

    @classmethod
    def begun(cls, now: float) -> LeaseClock:
        """The process has just registered."""
        return cls(renewed_at=now, steady_since=now)

    def renewed(self, now: float) -> None:
        """A renewal that was sent at `now` has succeeded."""
        if now - self.renewed_at > STOP_BEFORE_SECONDS:
            self.steady_since = now
        self.renewed_at = now

    def must_stop(self, now: float) -> bool:
        """True where the work held under this lease may be given to others at any moment."""
        return now - self.renewed_at > STOP_BEFORE_SECONDS

    def may_sweep(self, now: float) -> bool:
        """True where others have had the time to renew: only then are they known to be lost."""
        return not self.must_stop(now) and now - self.steady_since >= LEASE_SECONDS
