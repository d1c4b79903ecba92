"""What the Realtime API's `error` events mean: whose they are, and whether anybody must hear of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.conversation.actions import Action, Event, SendToClient, Warn
from gateway.conversation.answers import INVALID_CALL, Answers
from gateway.conversation.clientside import CLIENTS, ClientSide
from gateway.conversation.floor import REFUSED, Floor
from gateway.conversation.view import WORDS, ClientView
from gateway.policy import OURS

NOT_ACTIVE = "response_cancel_not_active"
"""What was to be stopped has stopped by itself (Realtime API, error codes)."""
EXPIRED = "session_expired"


@dataclass(slots=True)
class Errors:
    """Hears the errors of one open conversation."""

    floor: Floor
    client: ClientSide
    answers: Answers
    view: ClientView
    refused: Callable[[object, bool], None]
    """Told of each event of ours that the server did not take, and whether it may take it later."""
    said_expired: bool = False
    _reported: set[object] = field(default_factory=lambda: {*WORDS})
    """Codes of which the log tells no more: a client's errors are many, and each kind of them is news once."""

    def hear(self, event: Event, now: float) -> list[Action]:
        """Our own errors stay with us; `already has an active response` is routine and only means later."""
        error = event.get("error") or {}
        code, event_id = error.get("code"), error.get("event_id")
        if code == EXPIRED:
            self.said_expired = True
            return []  # What comes of it shows when the connection ends.
        if code == REFUSED:
            event_id = self.floor.create_refused(event_id, now)
        elif event_id is None and str(error.get("param")).startswith(("session", "tools")):
            event_id = self.client.settings.oldest  # Some rejections name no event (Realtime API, error codes).
        if isinstance(event_id, str) and self.client.settings.is_asked(event_id):
            left_out = self.client.tools.leave_out(error)
            if left_out is not None:  # What the model is offered now is told it next.
                return [left_out, *self.client.once_more(event_id)]
        if isinstance(event_id, str) and event_id.startswith(CLIENTS):
            self.client.refused(event_id)
            return self._tell(event, {**error, "event_id": None})
        # An answer that is wrong and names no event is one of ours: clients answer few calls, and we most.
        if (event_id is not None or code != INVALID_CALL) and not str(event_id).startswith(OURS):
            self.client.refused(event_id)
            return self._tell(event, error)
        if code in (REFUSED, NOT_ACTIVE):
            self.refused(event_id, code == REFUSED)
            return []
        told = self.answers.refused(event_id, code)
        self.refused(event_id, False)
        return told or [Warn(f"the Realtime API refused {event_id}: {code}: {error.get('message')}")]

    def _tell(self, event: Event, error: Event) -> list[Action]:
        """The client hears of it, in words that are for it; an operator reads the Realtime API's own."""
        shown = self.view.error(error)
        told: list[Action] = [SendToClient({**event, "error": shown})]
        if shown == error or shown["code"] in self._reported:
            return told
        self._reported.add(shown["code"])
        return [*told, Warn(f"the Realtime API refused the client: {error.get('code')}: {error.get('message')}")]
