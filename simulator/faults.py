"""The faults of a scenario: whom the server refuses at the door, and when it drops the line.

A fault happens a given number of times and then no more, counted over all connections of the server, so that
a client that tries again gets through.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from simulator.knobs import Drop, Knobs, Refusal


@dataclass
class Ledger:
    """What has happened so far, by scenario; one for the whole server."""

    refused: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def refusal(self, scenario: str, knobs: Knobs) -> Refusal | None:
        """Return how the next connection is refused, if it is, and count it."""
        refusal = knobs.refuse
        if refusal is None or self.refused[scenario] >= refusal.times:
            return None
        self.refused[scenario] += 1
        return refusal


@dataclass
class Fuse:
    """Watches one connection's events for the one after which the line goes dead."""

    scenario: str
    drop: Drop | None
    ledger: Ledger
    _seen: int = 0

    def blows(self, event_type: str) -> int | None:
        """Return the close code if the connection ends after this event, sent or received."""
        if self.drop is None or event_type != self.drop.after:
            return None
        self._seen += 1
        if self._seen != self.drop.nth or self.ledger.dropped[self.scenario] >= self.drop.times:
            return None
        self.ledger.dropped[self.scenario] += 1
        return self.drop.code
