"""Policy of the canary: whether a living worker still receives messages. Decides only; times are a monotonic clock's.

A connection to Redis can be dead without a sign, and a consumer can come out of a reconnect with no queue to listen on.
So a worker sends itself a message every few seconds, over the connection that it consumes with: its canary. A worker is
deaf if Redis accepted a canary that a free worker should have received, and that has not arrived for DEAF_SECONDS.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SEND_SECONDS = 2.0
"""Interval of canaries: half a message a second for each worker costs little, and several fit into DEAF_SECONDS."""
LOOK_SECONDS = 0.5
"""Interval of looks at whether the worker is full."""
DEAF_SECONDS = 7.0
"""Time without a canary that makes a worker deaf, if there was no cause for it. Kombu gives a silent BRPOP up after 11
s; with the canary before and the look after, this stays below 10.
"""
GAP_SECONDS = 2.0
"""If the pause between two looks is longer, this process or its machine stood still, and received no message."""


@dataclass(slots=True)
class CanaryPolicy:
    """Canary's state in one worker; `began` is when it should have begun to listen."""

    began: float
    _good: float = field(init=False)
    _looked: float = field(init=False)

    def __post_init__(self) -> None:
        self._good = self._looked = self.began

    def received(self, now: float) -> None:
        """Record that a canary came."""
        self._good = now

    def is_deaf(self, now: float, *, redis: bool, free: bool) -> bool:
        """Return whether the worker is deaf. `redis`: it accepted the last canary; `free`: this worker takes messages
        now.
        """
        stood_still = now - self._looked > GAP_SECONDS
        self._looked = now
        if stood_still or not redis or not free:
            self._good = now
        return now - self._good > DEAF_SECONDS
