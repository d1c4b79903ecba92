"""Why the gateway did not pass a frame: the rule that it breaks, and a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import error_event

MAX_PROBLEM_CHARS = 300
"""A decoder may quote what it refuses, and a client could send two megabytes of it."""

RULES = {
    "invalid_json": "A frame is one JSON object, in UTF-8.",
    "too_deep": "Objects and lists are nested only so deep.",
    "too_many_keys": "A frame holds only so many names and values.",
    "too_large": "Only what carries audio or pictures may be large.",
    "invalid_event": "Each event has a type.",
    "invalid_value": "Each field has a value that it can have, and no text holds NUL.",
    "forbidden_event": "An event is one that the client's policy allows.",
}
"""The `code` of each rejection, and what the rule asks for."""

FORBIDDEN = {
    "output_audio_buffer.clear": "this is a WebSocket: stop playing, and send conversation.item.truncate",
}
"""Events of the Realtime API that no policy can allow, and why."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Rejection of one frame; `as_event` is what the client is told.

    Args:
        code: the rule that it breaks, one of `RULES`.
        message: a sentence, with at most 300 characters of what was sent.
        event_id: the client's, where it could be read.
        param: the field that it is about.
    """

    code: str
    message: str
    event_id: str | None = None
    param: str | None = None

    @property
    def rule(self) -> str:
        """The rule that it breaks, one of `RULES`."""
        return self.code

    def as_event(self, event_id: str) -> dict[str, Any]:
        """Return the `error` server event (Realtime API)."""
        return error_event(event_id, 400, self.code, self.message, self.param, self.event_id)


def about_left_out(names: Sequence[str]) -> str:
    """Return the sentence about fields that the client may not set; the rest of its frame was taken.

    Args:
        names: dotted names, at least one.
    """
    quoted = ", ".join(names)[:MAX_PROBLEM_CHARS]
    return f"Not this client's to set, and left out: {quoted}. Set it in the agent's file, or leave it to the server."


def left_out_event(names: Sequence[str], event_id: str | None) -> dict[str, Any]:
    """Return the event about it, for a client that asked to be told (`?ringback=left_out`); `event_id` is the client's.

    It is no `error`: SDKs send all fields on every connection, and several of them take an error for the end.
    """
    told = {"client_event_id": event_id, "fields": list(names), "message": about_left_out(names)}
    return {"type": "ringback.left_out", "event_id": "rb_left_out", **told}
