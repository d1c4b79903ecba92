"""What the errors of the model's server mean: which event each is about, and whether the client hears of it.

The code says what kind of error it is. The message is for people.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.close_codes import PERMANENT
from gateway.conversation.actions import Action, Event, SendToClient, Warn
from gateway.conversation.client.requests import CLIENTS, ClientRequests
from gateway.conversation.client.view import WORDS, ClientView
from gateway.conversation.tool_calls.results import INVALID_CALL, ResultSender, is_duplicate
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.protocol import OURS
from gateway.upstream.events import ErrorReported, UpstreamError

DOUBT_SECONDS = 1.5
"""How long a response may show that tells a result which the conversation had already. Then one is asked for."""
REFUSED = "conversation_already_has_active_response"
NOT_ACTIVE = "response_cancel_not_active"
"""What was to be stopped has stopped by itself (Realtime API, error codes)."""
EXPIRED = "session_expired"
CALL_OPEN = "function_call_output_pending"
"""Some servers begin no response while a call has no answer: it is routine, and only means later."""
LATER = frozenset({REFUSED, CALL_OPEN})
"""A `response.create` is refused for now."""
KINDS = frozenset({*WORDS, *LATER, NOT_ACTIVE, EXPIRED, INVALID_CALL})
"""Codes of which it is known what they are about: never a session.update."""
WRONG = "invalid_request_error"
"""The type of an error about a request that would be refused each time."""
PASSING = frozenset({"rate_limit_exceeded", "server_error", EXPIRED})
"""Codes of errors that pass, even if the type says otherwise."""
ELSEWHERE = frozenset({"item", "item_id", "previous_item_id", "content_index", "audio_end_ms", "audio", "response"})
"""Fields of the client's events that a session.update does not have."""


def is_refusal(error: UpstreamError) -> bool:
    """Return True if the same request would be refused each time; other errors may pass by themselves."""
    if error.code is not None and error.code.isdecimal():
        return int(error.code) in PERMANENT
    return error.type == WRONG and error.code not in PASSING


def may_be_about_settings(error: UpstreamError) -> bool:
    """Return False if the error is known to be about another event than a session.update."""
    return error.code not in KINDS and str(error.param).partition(".")[0] not in ELSEWHERE


@dataclass(slots=True)
class UpstreamErrors:
    """Handling of the errors of one open conversation."""

    scheduler: ResponseScheduler
    client: ClientRequests
    results: ResultSender
    view: ClientView
    said_expired: bool = False
    _reported: set[object] = field(default_factory=lambda: {*WORDS})
    """Codes of which the log tells no more: a client's errors are many, and each kind of them is news once."""

    def hear(self, event: ErrorReported, now: float) -> list[Action]:
        """Handle an error. The client hears of errors about its events; a refused create is routine and means later."""
        error = event.error
        if error.code == EXPIRED:
            self.said_expired = True
            return []  # What comes of it shows when the connection ends.
        event_id, is_settled = self._of_create(error.code, error.event_id, now)
        if is_settled:
            return []
        is_guess = event_id is None and may_be_about_settings(error)
        if is_guess:
            event_id = self.client.settings.oldest  # Some rejections name no event (Realtime API, error codes).
        if isinstance(event_id, str) and self.client.settings.is_asked(event_id):
            left_out = self.client.tools.leave_out(error)
            if left_out is not None:  # What the model is offered now is told it next.
                return [left_out, *self.client.once_more(event_id)]
            if is_guess:
                self.client.settings.doubt(event_id)
        return self._tell_whose_it_is(event, event_id, now)

    def _tell_whose_it_is(self, event: ErrorReported, event_id: object, now: float) -> list[Action]:
        code = event.error.code
        if isinstance(event_id, str) and event_id.startswith(CLIENTS):
            self.client.refused(event_id)
            return self._tell(event, {"event_id": None})
        # A wrong output that names no event is the gateway's: it answers most calls, and clients few.
        if (event_id is not None or code != INVALID_CALL) and not str(event_id).startswith(OURS):
            self.client.refused(event_id)
            return self._tell(event)
        if code in (*LATER, NOT_ACTIVE):
            return []
        self.client.settings.refused(event_id)
        told = self.results.refused(event_id, event.error, now)
        if is_duplicate(event.error):
            self.scheduler.pacing.retry_at = max(self.scheduler.pacing.retry_at, now + DOUBT_SECONDS)
        return told or [
            Warn(f"event refused by the Realtime API ({event_id}: {code}: {event.error.message}); going on without it")
        ]

    def _of_create(self, code: object, event_id: object, now: float) -> tuple[object, bool]:
        """Tell the response slot; return the event id of the create that is meant, and whether that settles it."""
        named = event_id if isinstance(event_id, str) else None
        if code == CALL_OPEN:
            return self.scheduler.held(named, now, self.results.hurry(now))
        if code in LATER:
            return self.scheduler.refused(named, now)
        if named is None:
            self.scheduler.note_error(now)
        else:
            self.scheduler.failed(named, now)
        return event_id, False

    def _tell(self, event: ErrorReported, changes: Event | None = None) -> list[Action]:
        """Tell the client in words that are for it, and the log in the Realtime API's words."""
        error = {**event.raw["error"], "code": event.error.code, **(changes or {})}
        shown = self.view.error(error)
        told: list[Action] = [SendToClient({**event.raw, "error": shown})]
        if shown == error or shown["code"] in self._reported:
            return told
        self._reported.add(shown["code"])
        return [
            *told,
            Warn(f"client's event refused ({event.error.code}: {event.error.message}); told the client"),
        ]
