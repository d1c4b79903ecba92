"""Token bucket: so much at once, and so much a second from then on. Pure: the caller passes the time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """What was taken and the rate has not given back yet. Times are seconds of any monotonic clock.

    Args:
        rate: how much there is to take in a second, on average.
        burst: how much there is to take at once.
    """

    rate: float
    burst: float
    _taken: float = 0.0
    _at: float = 0.0

    def takes(self, now: float, amount: float = 1.0) -> bool:
        """Take so much and return True, or return False if there is less; then none is taken."""
        if not self.holds(amount, now):
            return False
        self._taken += amount
        return True

    def holds(self, amount: float, now: float) -> bool:
        """Return whether there is so much to take; `take` takes it."""
        self._give_back(now)
        return self._taken + amount <= self.burst

    def take(self, amount: float) -> None:
        """Take what the bucket holds."""
        self._taken += amount

    def overdraw(self, amount: float, now: float) -> float:
        """Take so much in any case; return the seconds to wait before more may be taken, 0.0 while the burst lasts."""
        self._give_back(now)
        self._taken += amount
        return max(0.0, self._taken - self.burst) / self.rate

    def _give_back(self, now: float) -> None:
        self._taken = max(0.0, self._taken - (now - self._at) * self.rate)
        self._at = now
