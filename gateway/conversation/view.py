"""What of the model's events a client gets to see.

A client hears and reads the conversation. Function calls, their arguments and their outputs are the server's
business, and so are instructions and tools: their events are left out, and what points at a hidden item points at
the visible one before it instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event
from gateway.policy import OUR_MARK

HIDDEN_ITEMS = frozenset(
    {
        "function_call",
        "function_call_output",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
    }
)
HIDDEN_PREFIXES = ("response.function_call_arguments.", "response.mcp_call", "mcp_list_tools.")
HIDDEN_FIELDS = frozenset({"instructions", "tools", "tool_choice", "prompt", "tracing"})
"""Of a session and of a response."""


@dataclass(slots=True)
class ClientView:
    """Filters one conversation's server events for its client."""

    session_id: str
    _hidden: dict[str, str | None] = field(default_factory=dict)
    """A hidden item, and the item before it."""
    _session: Event = field(default_factory=dict)

    def session(self, session: Event) -> Event:
        """The session as the client may know it: under our id, without what is the server's."""
        self._session = {key: value for key, value in session.items() if key not in HIDDEN_FIELDS}
        self._session |= {"id": self.session_id, "tools": []}
        return self._session

    def last_session(self) -> Event:
        """The session as it was last shown."""
        return self._session

    def show(self, event: Event) -> Event | None:
        """The event as the client may see it; None where it may not."""
        kind = str(event.get("type"))
        if kind.startswith(HIDDEN_PREFIXES) or event.get("item_id") in self._hidden:
            return None
        item = event.get("item")
        if isinstance(item, dict) and not self._item_is_visible(item, event):
            return None
        changed = event
        if isinstance(event.get("session"), dict):
            changed = {**changed, "session": self.session(event["session"])}
        if isinstance(event.get("response"), dict):
            changed = {**changed, "response": self._response(event["response"])}
        if event.get("previous_item_id") in self._hidden:
            changed = {**changed, "previous_item_id": self._before(event["previous_item_id"])}
        return changed

    def _item_is_visible(self, item: Event, event: Event) -> bool:
        if item.get("type") not in HIDDEN_ITEMS:
            return True
        item_id = item.get("id")
        if isinstance(item_id, str) and "previous_item_id" in event:
            # A later event may name no predecessor where an earlier one did.
            self._hidden[item_id] = event["previous_item_id"] or self._hidden.get(item_id)
        elif isinstance(item_id, str):
            self._hidden.setdefault(item_id, None)
        return False

    def _before(self, item_id: str | None) -> str | None:
        seen: set[str] = set()
        while item_id in self._hidden and item_id not in seen:
            seen.add(item_id)
            item_id = self._hidden[item_id]
        return item_id

    def _response(self, response: Event) -> Event:
        visible: dict[str, Any] = {key: value for key, value in response.items() if key not in HIDDEN_FIELDS}
        if isinstance(response.get("metadata"), dict) and OUR_MARK in response["metadata"]:
            visible["metadata"] = {key: value for key, value in response["metadata"].items() if key != OUR_MARK} or None
        if isinstance(response.get("output"), list):
            visible["output"] = [
                item for item in response["output"] if not (isinstance(item, dict) and item.get("type") in HIDDEN_ITEMS)
            ]
        return visible


def response_cut(response_id: str, event_id: str, code: str) -> Event:
    """The `response.done` of a response whose connection is gone: the real one will never come."""
    error = {"type": "server_error", "code": code}
    details = {"type": "failed", "error": error}
    response = {"id": response_id, "object": "realtime.response", "status": "failed", "status_details": details}
    return {"type": "response.done", "event_id": event_id, "response": {**response, "output": [], "usage": None}}
