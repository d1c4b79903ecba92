"""Oddities: one switch for each difference between other servers and OpenAI's, all off by default.

Most of them change or withhold outgoing events, which :meth:`Oddities.shown` does for all. The others take effect in
``conversation`` and ``responses.player``. They are knobs like all others (``simulator.behavior``), so a scenario, the
command line, the control API or a connection's URL may set them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.wire import MAX_ID_LENGTH, Event, new_id

# The numbers that replace an error's code, as in HTTP.
_NUMBERS = {
    "conversation_already_has_active_response": 409,
    "function_call_output_pending": 409,
    "rate_limit_exceeded": 429,
    "inference_rate_limit_exceeded": 429,
    "server_error": 500,
}
_BAD_REQUEST = 400
# How long ago an `expires_at` in the past is.
_OVER_SINCE_S = 60


class Oddities(BaseModel):
    """Switches for the differences of one server; without them it acts like OpenAI's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    odd_from_connection: int = Field(
        default=1, ge=1, description="The oddities begin at this accepted connection of the server, counted from 1."
    )
    first_event_ms: int = Field(default=0, ge=0, description="Pause before the first event of a connection.")
    session_created: bool = Field(default=True, description="Whether `session.created` is sent.")
    expires_at: Literal["unix", "past", "relative", "missing"] = Field(
        default="unix", description="What `session.expires_at` holds: a time, a past time, seconds, or it is missing."
    )
    tools_shown: Literal["as_sent", "nested", "empty", "missing"] = Field(
        default="as_sent", description="The `tools` of `session.updated`; xAI nests each one under `function`."
    )
    before_updated: Literal["nothing", "warning", "invalid_request_error", "server_error", "rate_limit_exceeded"] = (
        Field(default="nothing", description="An `error` that comes before each `session.updated`.")
    )
    updated_follows: bool = Field(
        default=True, description="Whether `session.updated` comes after that `error`; else the update does not apply."
    )
    item_echo: Literal["as_sent", "renamed", "missing"] = Field(
        default="as_sent", description="The echo of an item that the client creates: under another id, or missing."
    )
    item_event: Literal["added", "created"] = Field(
        default="added",
        description="The event that shows an item: `conversation.item.added`, with a `….done`, or `….created` alone.",
    )
    deletes_items: bool = Field(default=True, description="False: `conversation.item.delete` is `not_implemented`.")
    done_events: Literal["all", "no_item_done", "response_done_only"] = Field(
        default="all", description="Which `….done` events are sent; xAI sends no `conversation.item.done`."
    )
    response_created: bool = Field(default=True, description="Whether `response.created` is sent.")
    metadata_echo: bool = Field(default=True, description="Whether a response shows the `metadata` it was asked with.")
    dies_at: int | None = Field(
        default=None, ge=1, description="The n-th response of a connection ends by an `error`, without `response.done`."
    )
    rate_limited_ms: int | None = Field(
        default=None, ge=0, description="For so long each response fails by a rate limit, as `rate_limits` says."
    )
    rate_limited_from: int = Field(
        default=1, ge=1, description="The n-th response of a connection with which that time begins."
    )
    create_needs_outputs: bool = Field(
        default=False, description="Refuse `response.create` with `function_call_output_pending` while a call is open."
    )
    error_names: Literal["code", "type", "number"] = Field(
        default="code", description="How an error is named: by `code`, by `type` with no code, or by a number as code."
    )
    type_place: Literal["first", "last"] = Field(default="first", description="Where `type` stands in an event.")
    id_style: Literal["openai", "uuid"] = Field(
        default="openai", description="The server's item ids and call ids; xAI's are of 36 and 43 characters."
    )
    max_id_length: int = Field(
        default=MAX_ID_LENGTH, ge=MAX_ID_LENGTH, description="The longest item id and call id that a client may give."
    )

    def new_id(self, prefix: Literal["item", "call"]) -> str:
        """Return a fresh id of an item or a call in the server's style."""
        if self.id_style == "openai":
            return new_id(prefix)
        return f"call-{uuid.uuid4()}-0" if prefix == "call" else str(uuid.uuid4())

    def shown(self, event: Event) -> Event | None:
        """Return an event as this server sends it, or None if it withholds the event."""
        kind = event["type"]
        if self._is_withheld(kind):
            return None
        if kind == "conversation.item.added" and self.item_event == "created":
            kind = "conversation.item.created"
            event = {**event, "type": kind}
        if kind in ("session.created", "session.updated"):
            event = {**event, "session": self._session(event["session"])}
        if kind == "error":
            event = {**event, "error": self._error(event["error"])}
        if not self.metadata_echo and "response" in event:
            event = {**event, "response": {**event["response"], "metadata": None}}
        if self.type_place == "last":
            event = {**{name: event[name] for name in sorted(event) if name != "type"}, "type": kind}
        return event

    def _is_withheld(self, kind: str) -> bool:
        if kind == "conversation.item.done":
            return self.done_events != "all" or self.item_event == "created"
        if kind.endswith(".done") and kind != "response.done":
            return self.done_events == "response_done_only"
        return (kind == "session.created" and not self.session_created) or (
            kind == "response.created" and not self.response_created
        )

    def _session(self, session: Mapping[str, Any]) -> dict[str, Any]:
        shown = dict(session)
        now = time.time()
        if self.expires_at == "missing":
            del shown["expires_at"]
        elif self.expires_at != "unix":
            ends = now - _OVER_SINCE_S if self.expires_at == "past" else shown["expires_at"] - now
            shown["expires_at"] = int(ends)
        if self.tools_shown == "missing":
            del shown["tools"]
        elif self.tools_shown == "empty":
            shown["tools"] = []
        elif self.tools_shown == "nested":
            shown["tools"] = [_nested(tool) for tool in shown["tools"]]
        return shown

    def _error(self, error: Mapping[str, Any]) -> dict[str, Any]:
        if self.error_names == "code" or error["code"] is None:
            return dict(error)
        if self.error_names == "type":
            return {**error, "type": error["code"], "code": None}
        return {**error, "code": _NUMBERS.get(error["code"], _BAD_REQUEST)}


def _nested(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": tool.get("type"), "function": {name: value for name, value in tool.items() if name != "type"}}
