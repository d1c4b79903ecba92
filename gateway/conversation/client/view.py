"""Filter of the model's events: what of them a client gets to see, by its policy.

A client sees the conversation. It does not see the server's function calls, arguments and outputs, its instructions and
tools, and what the Realtime API says about its account. Their events are left out. A pointer at a hidden item points at
the visible item before it instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Action, Event, SendToClient
from gateway.conversation.client.item_retrieval import ItemRetrieval
from gateway.conversation.event_names import OF_CALLS, RESPONSE_DONE, SESSION_CREATED, SESSION_UPDATED, SHOWN
from gateway.conversation.item_log import ItemLog
from gateway.conversation.turn_taking.filler import is_filler_item
from gateway.protocol import OUR_MARK, ClientFrame
from ringback.agents.client_policy import BROWSER, ClientPolicy
from ringback.agents.hosted_tools import SECRET_FIELDS

CALL_ITEMS = frozenset({"function_call", "function_call_output"})
HIDDEN_ITEMS = CALL_ITEMS | {"mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"}
SHOWN_ITEMS = ("message", None)
"""All that a stranger is shown of a conversation; some servers name no type."""
HIDDEN_FIELDS = frozenset({"instructions", "tools", "tool_choice", "prompt", "tracing"})
"""Of a session and of a response."""
HIDDEN_OF_TRANSCRIPTION = frozenset({"prompt", "keywords"})
"""Of a session's `audio.input.transcription`."""

_CODE = re.compile(r"[a-z0-9_.-]{1,64}", re.IGNORECASE)
WORDS = {
    "conversation_already_has_active_response": "The model is speaking already: wait for response.done.",
    "response_cancel_not_active": "Cancellation failed: no active response found",
    "input_audio_buffer_commit_empty": "There is no audio to commit: append some first.",
    "rate_limit_exceeded": "The Realtime API is too busy for this right now. Try again in a moment.",
    "session_expired": "The session has reached its longest duration. Connect again.",
}
"""The errors that a client meets in its daily life, in words that keep the server's account to itself. The words of a
cancellation are the Realtime API's: livekit-agents knows by them that it is no failure."""


def owns_none(_name: str) -> bool:
    """Stand in for the functions of a client that brings none."""
    return False


@dataclass(slots=True)
class ClientView:
    """Filters one conversation's server events for its client.

    Args:
        policy: what the client may see.
        sees_calls: True where it asked to see the calls of the server's functions; its policy has to let it.
        owns: True for a function that the client itself has brought.
    """

    session_id: str
    policy: ClientPolicy = BROWSER
    sees_calls: bool = False
    owns: Callable[[str], bool] = owns_none
    _hidden: dict[str, str | None] = field(default_factory=dict)
    """A hidden item, and the item before it."""
    _own_calls: set[str] = field(default_factory=set)
    """The item ids and call ids of calls that are the client's to answer."""
    _session: Event = field(default_factory=dict)
    _retrieval: ItemRetrieval = field(default_factory=ItemRetrieval)

    def __post_init__(self) -> None:
        self.sees_calls = self.sees_calls and "calls" in self.policy.asks

    def session(self, session: Event) -> Event:
        """Return the session as the client may know it: under the gateway's id, without the server's fields."""
        if self.policy.sees_session:
            self._session = {**_without_secrets(session), "id": self.session_id}
        else:
            shown = {key: value for key, value in session.items() if key not in HIDDEN_FIELDS}
            self._session = {**_without_hints(shown), "id": self.session_id, "tools": []}
        return self._session

    def created(self, session: Event, event_id: str) -> Event:
        """Return the `session.created` of a client that is let in."""
        return {"type": SESSION_CREATED, "event_id": event_id, "session": self.session(session)}

    def answer(self, frame: ClientFrame, log: ItemLog, new_id: Callable[[str], str]) -> list[Action]:
        """Answer a frame at once; return [] if it is for the model.

        A client whose update is empty gets `session.updated`, with the session as it was last shown.
        """
        if frame.is_empty_update:
            return [SendToClient({"type": SESSION_UPDATED, "event_id": new_id("updated"), "session": self._session})]
        return self._retrieval.answer(frame.event, log, new_id("item"))

    def show(self, event: Event) -> Event | None:
        """Return the event as the client may see it; None if it may not."""
        if not self._is_visible(str(event.get("type")), event):
            return None
        changed = event
        if isinstance(event.get("session"), dict):
            changed = {**changed, "session": self.session(event["session"])}
        if isinstance(event.get("response"), dict):
            changed = {**changed, "response": self._response(event["response"])}
        if isinstance(event.get("error"), dict):
            changed = {**changed, "error": self.error(event["error"])}
        if event.get("previous_item_id") in self._hidden:
            changed = {**changed, "previous_item_id": self._before(event["previous_item_id"])}
        self._retrieval.note(changed)
        return changed

    def shows_as_it_came(self, item_id: str) -> bool:
        """Return True if `show` would change no event of a response that is only about this item."""
        return not is_filler_item(item_id) and item_id not in self._hidden

    def shows_detail(self, kind: str, item_id: str) -> bool:
        """Return True if `show` would show an event of this type that is only about this item, and change nothing."""
        if not self.shows_as_it_came(item_id):
            return False
        return not kind.startswith(OF_CALLS) or self.sees_calls or item_id in self._own_calls

    def error(self, error: Event) -> Event:
        """Return an error as the client may know it: what the Realtime API says of an account is not for strangers."""
        if self.policy.sees_errors:
            return error
        code = error.get("code") if _CODE.fullmatch(str(error.get("code"))) else None
        words = WORDS.get(str(code), f"The Realtime API has refused this{f' ({code})' if code else ''}.")
        kept: Event = {key: error[key] for key in ("type", "param", "event_id") if key in error}
        return {**kept, "code": code, "message": words}

    def _is_visible(self, kind: str, event: Event) -> bool:
        if not (self.policy.sees_errors or kind.startswith(SHOWN)):
            return False
        item = event.get("item")
        if isinstance(item, dict):
            return self._item_is_visible(item, event)
        if event.get("item_id") in self._hidden:
            return False
        if not kind.startswith(OF_CALLS) or self.sees_calls:
            return True
        return event.get("item_id") in self._own_calls

    def _item_is_visible(self, item: Event, event: Event) -> bool:
        is_shown = not self._is_servers(item) or self.sees_calls or self._is_own(item)
        if is_shown and not is_filler_item(item.get("id")):
            return True
        item_id = item.get("id")
        if isinstance(item_id, str) and "previous_item_id" in event:
            # A later event may name no predecessor where an earlier one did.
            self._hidden[item_id] = event["previous_item_id"] or self._hidden.get(item_id)
        elif isinstance(item_id, str):
            self._hidden.setdefault(item_id, None)
        return False

    def _is_servers(self, item: Event) -> bool:
        """True for calls and their outputs; to a stranger for all items but messages: providers have tools too."""
        kind = item.get("type")
        return kind in HIDDEN_ITEMS or not (self.policy.sees_errors or kind in SHOWN_ITEMS)

    def _is_own(self, item: Event) -> bool:
        """True for a call of a function that the client has brought, and for its output."""
        if item.get("type") not in CALL_ITEMS:
            return False
        known = {item.get("id"), item.get("call_id")} - {None}
        if item.get("type") == "function_call" and self.owns(str(item.get("name"))):
            self._own_calls.update(str(each) for each in known)
        return not self._own_calls.isdisjoint(known)

    def _before(self, item_id: str | None) -> str | None:
        seen: set[str] = set()
        while item_id in self._hidden and item_id not in seen:
            seen.add(item_id)
            item_id = self._hidden[item_id]
        return item_id

    def _response(self, response: Event) -> Event:
        hidden = frozenset() if self.policy.sees_session else HIDDEN_FIELDS
        visible = _without_secrets({key: value for key, value in response.items() if key not in hidden})
        if isinstance(response.get("metadata"), dict) and OUR_MARK in response["metadata"]:
            visible["metadata"] = {key: value for key, value in response["metadata"].items() if key != OUR_MARK} or None
        details = response.get("status_details")
        if isinstance(details, dict) and isinstance(details.get("error"), dict):
            visible["status_details"] = {**details, "error": self.error(details["error"])}
        if isinstance(response.get("output"), list):
            visible["output"] = [item for item in response["output"] if self._may_list(item)]
        return visible

    def _may_list(self, item: object) -> bool:
        if not isinstance(item, dict) or not self._is_servers(item):
            return True
        return self.sees_calls or self._is_own(item)


def _without_hints(session: Event) -> Event:
    """A session that does not tell by which words the user is understood: they may be names of customers."""
    audio = session.get("audio")
    heard = audio.get("input") if isinstance(audio, dict) else None
    transcription = heard.get("transcription") if isinstance(heard, dict) else None
    if not (isinstance(audio, dict) and isinstance(heard, dict) and isinstance(transcription, dict)):
        return session
    shown = {key: value for key, value in transcription.items() if key not in HIDDEN_OF_TRANSCRIPTION}
    return {**session, "audio": {**audio, "input": {**heard, "transcription": shown}}}


def _without_secrets(fields: Event) -> Event:
    """A session or a response whose hosted tools do not tell what opens their servers."""
    tools = fields.get("tools")
    if not isinstance(tools, list):
        return fields
    return {**fields, "tools": [_shown(tool) for tool in tools]}


def _shown(tool: Any) -> Any:
    if not isinstance(tool, dict) or tool.get("type") == "function":
        return tool
    return {key: value for key, value in tool.items() if key not in SECRET_FIELDS}


def response_cut(response_id: str, code: str) -> Event:
    """The `response.done` of a response whose connection is gone: the real one will never come."""
    error = {"type": "server_error", "code": code}
    details = {"type": "failed", "error": error}
    response = {"id": response_id, "object": "realtime.response", "status": "failed", "status_details": details}
    return {"type": RESPONSE_DONE, "response": {**response, "output": [], "usage": None}}
