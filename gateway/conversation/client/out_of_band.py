"""Responses out of band (`"conversation": "none"`), which a trusted client may ask for: they are no part of the talk.

The Realtime API runs them beside the conversation's own response. So they take no slot, are kept in no log, and what
they cost counts all the same. They are offered no functions: a result would have no conversation to go into.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.conversation.actions import Event
from gateway.upstream.events import ModelEvent, ResponseFinished, ResponseStarted

MAX_ASKED = 64
"""Of responses that were asked for and have neither begun nor been refused: beyond it the oldest are forgotten."""


@dataclass(slots=True)
class OutOfBandResponses:
    """Register of these responses in one conversation."""

    _asked: dict[str, None] = field(default_factory=dict)
    _active: dict[str, None] = field(default_factory=dict)

    @staticmethod
    def is_asked(event: Event) -> bool:
        """Return True for a client's `response.create` that asks for one."""
        return (event.get("response") or {}).get("conversation") == "none"

    def asked(self, event: Event) -> Event:
        """Note a client's `response.create`; return it as the model gets it."""
        self._asked[event["event_id"]] = None
        while len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        return {**event, "response": {**event["response"], "tool_choice": "none"}}

    def refused(self, event_id: object) -> None:
        """Forget a create that the server refused."""
        self._asked.pop(str(event_id), None)

    def is_about(self, event: ModelEvent) -> bool:
        """Return True for an event of a response out of band that the client asked for."""
        if not (self._asked or self._active):
            return False
        match event:
            case ResponseStarted(response=response):
                if self._asked and response.is_out_of_band:
                    del self._asked[next(iter(self._asked))]
                    self._active[str(response.id)] = None
                return str(response.id) in self._active
            case ResponseFinished(response=response):
                is_out_of_band = str(response.id) in self._active
                self._active.pop(str(response.id), None)
                return is_out_of_band
        return event.response_id in self._active
