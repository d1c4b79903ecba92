"""The faults of a scenario: which upgrades the server refuses, which connections it drops, which responses fail.

Refusals and drops happen a given number of times, counted over all connections of the server, so that a client that
tries again gets through. Responses are counted by connection.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from simulator.behavior import Drop, Knobs, Refusal
from simulator.effects import Effect, Later
from simulator.wire import Event, server_event


@dataclass
class FaultCounts:
    """Counts of refusals and drops by scenario; one object for the whole server."""

    refused: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def refusal(self, scenario: str, knobs: Knobs) -> Refusal | None:
        """Return the refusal of the next connection, if any, and count it."""
        refusal = knobs.refuse
        if refusal is None or self.refused[scenario] >= refusal.times:
            return None
        self.refused[scenario] += 1
        return refusal


@dataclass
class DropWatch:
    """Watches one connection's events for the one after which the server drops it."""

    scenario: str
    drop: Drop | None
    counts: FaultCounts
    _seen: int = 0

    def closes_after(self, event_type: str) -> int | None:
        """Return the close code if the connection ends after this event, sent or received."""
        if self.drop is None or event_type != self.drop.after:
            return None
        self._seen += 1
        if self._seen != self.drop.nth or self.counts.dropped[self.scenario] >= self.drop.times:
            return None
        self.counts.dropped[self.scenario] += 1
        return self.drop.code


@dataclass
class ResponseFaults:
    """Counts one connection's responses: which one dies, and when a rate limit holds."""

    knobs: Knobs
    is_limited: bool = False
    _begun: int = 0

    @property
    def dies(self) -> bool:
        """Whether the response that has just begun ends by an error only."""
        return self._begun == self.knobs.dies_at

    def begin(self) -> list[Effect]:
        """Count a response; with the n-th one the rate limit begins."""
        self._begun += 1
        lasts_ms = self.knobs.rate_limited_ms
        if lasts_ms is None or self._begun != self.knobs.rate_limited_from:
            return []
        self.is_limited = True
        return [Later(lasts_ms, self._lift)]

    def _lift(self) -> list[Effect]:
        self.is_limited = False
        return []

    def rate_limits(self, *, called: bool) -> list[Event]:
        """Return the ``rate_limits.updated`` that follows a response, if any."""
        knob, remaining, reset_s = self.knobs.rate_limits, 14_998_954, 0.004
        if self.is_limited:
            knob, remaining, reset_s = "always", 0, (self.knobs.rate_limited_ms or 0) / 1000
        if knob == "never" or (knob == "calls" and not called):
            return []
        limits = [{"name": "tokens", "limit": 15_000_000, "remaining": remaining, "reset_seconds": reset_s}]
        return [server_event("rate_limits.updated", rate_limits=limits)]
