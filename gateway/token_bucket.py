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
        taken = self._taken - (now - self._at) * self.rate
        taken = taken + amount if taken > 0.0 else amount
        if taken > self.burst:
            return False
        self._taken, self._at = taken, now
        return True
