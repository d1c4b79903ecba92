"""Whether a worker that lives still hears its queues. Decides, and does nothing; the times are a monotonic clock's.

A connection to Redis can be dead without a sign, and a consumer can come out of a reconnect with nothing to listen
on. So a worker sends itself a message every few seconds, over the connection that it consumes with: its canary. One
that Redis took, that a free worker should have heard, and that is not heard for DEAF_SECONDS, means: deaf.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SEND_SECONDS = 2.0
"""Between two canaries: half a message a second for each worker is nothing, and several fit into DEAF_SECONDS."""
LOOK_SECONDS = 0.5
"""Between two looks at whether the worker is full."""
DEAF_SECONDS = 7.0
"""Without a canary, although nothing stood in its way. kombu itself gives a silent BRPOP up after 11 s; with the
canary before and the look after, ours is below 10.
"""
GAP_SECONDS = 2.0
"""A longer pause between two looks: this process, or its machine, stood still, and heard nothing for that reason."""


@dataclass(slots=True)
class CanaryPolicy:
    """What is known of one worker's hearing; `began` is when it should have begun to listen."""

    began: float
    _good: float = field(init=False)
    _looked: float = field(init=False)

    def __post_init__(self) -> None:
        self._good = self._looked = self.began

    def heard(self, now: float) -> None:
        """A canary came."""
        self._good = now

    def is_deaf(self, now: float, *, redis: bool, free: bool) -> bool:
        """Look once. `redis`: it took the last canary; `free`: this worker takes messages now."""
        stood_still = now - self._looked > GAP_SECONDS
        self._looked = now
        if stood_still or not redis or not free:
            self._good = now
        return now - self._good > DEAF_SECONDS
