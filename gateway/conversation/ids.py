"""The event ids of everything that one conversation sends on its own account."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.conversation.actions import Event
from gateway.policy import OURS


@dataclass(slots=True)
class Ids:
    """Names what is sent: each once in a session, whatever its epoch."""

    epoch: int
    _count: int = 0

    def new(self, what: str) -> str:
        """An event id of ours; `what` says what it is for."""
        self._count += 1
        return f"{OURS}{what}_{self.epoch}_{self._count}"

    def ours(self, what: str, event: Event) -> Event:
        """The event, with an id of ours."""
        return {**event, "event_id": self.new(what)}
