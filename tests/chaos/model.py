"""The fake Realtime API's side of one conversation: it hears an event, and says what to answer. No I/O.

It is strict where the real one is (one response at a time, no answer to a call that the conversation does not hold,
no long or repeated item ids), and it does as it is told by the client's typed messages, which say in JSON which
functions to call: `{"client": 7, "ask": 3, "calls": [["look_up", "c7.3.0"], …]}`. A call counts as made when the
conversation holds one with that canary, so that a rebuilt conversation goes on where the old one ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.chaos.ledger import CANARY

Event = dict[str, Any]

ID_LIMIT = 32
"""Of item ids: the Realtime API refuses longer ones."""
CALLS_AT_ONCE = 6
"""Function calls of one response; what is asked beyond that waits for the next."""
LIFE_SECONDS = 3600.0
OUTPUT = "function_call_output"


@dataclass
class Model:
    """One conversation. `number` is the connection's, and stands in every id made here.

    Args:
        expires_at: as told in the session, wall clock.
    """

    number: int
    expires_at: float = 0.0
    items: list[Event] = field(default_factory=list)
    active: str | None = None
    _session: Event = field(default_factory=dict)
    _count: Any = field(default_factory=lambda: count(1))
    _spoken_of: set[str] = field(default_factory=set)
    _may_call: bool = True
    """False where the response was asked for with `tool_choice` "none"."""

    def open(self) -> list[Event]:
        """What a new connection is told."""
        self._session = {"id": f"sess_{self.number}", "object": "realtime.session", "type": "realtime"}
        self._session |= {"instructions": "default", "tools": [], "expires_at": int(self.expires_at)}
        return [self._event("session.created", session=self._session)]

    def receive(self, event: Event) -> list[Event]:
        """The answer to one event; a response that it begins is played by `play`."""
        kind = event.get("type")
        if kind == "session.update":
            self._session |= event["session"]
            return [self._event("session.updated", session=self._session)]
        if kind == "conversation.item.create":
            return self._take(event)
        if kind == "conversation.item.delete":
            return self._delete(event)
        if kind == "response.create":
            return self._begin(event)
        if kind in ("response.cancel", "conversation.item.truncate", "input_audio_buffer.append"):
            return []
        return [self._refuse(event, "unknown_event", f"no such event: {kind}")]

    def play(self) -> Iterator[list[Event]]:
        """The response that is active, step by step."""
        response_id = self.active or ""
        wanted = self._wanted()[:CALLS_AT_ONCE] if self._may_call else []
        made = []
        for place, (tool, canary) in enumerate(wanted):
            made.append(self._call(tool, canary))
            yield self._item_events(response_id, place, made[-1])
        if not wanted:
            made.append(self._words())
            yield self._item_events(response_id, 0, made[-1])
        self.active = None
        yield [self._event("response.done", response=self._response(response_id, "completed", made))]

    def has_call(self, call_id: str) -> bool:
        return any(item["type"] == "function_call" and item["call_id"] == call_id for item in self.items)

    # — what the gateway adds —

    def _take(self, event: Event) -> list[Event]:
        item = {**event["item"]}
        item.setdefault("id", f"item_{self.number}_{next(self._count)}")
        if problem := self._why_not(item):
            return [self._refuse(event, *problem)]
        item.setdefault("status", "completed")
        before = self._insert(item, event.get("previous_item_id"))
        if item["type"] == "message" and item["role"] == "assistant":
            self._spoken_of |= _canaries(item)
        return [
            self._event("conversation.item.added", previous_item_id=before, item=item),
            self._event("conversation.item.done", previous_item_id=before, item=item),
        ]

    def _delete(self, event: Event) -> list[Event]:
        kept = [item for item in self.items if item["id"] != event["item_id"]]
        if len(kept) == len(self.items):
            return [self._refuse(event, "item_delete_invalid_item_id", f"there is no item {event['item_id']}")]
        self.items = kept
        return [self._event("conversation.item.deleted", item_id=event["item_id"])]

    def _why_not(self, item: Event) -> tuple[str, str] | None:
        if len(item["id"]) > ID_LIMIT:
            return "string_above_max_length", f"the id has {len(item['id'])} characters"
        if any(item["id"] == known["id"] for known in self.items):
            return "item_already_exists", f"there is an item {item['id']}"
        if item["type"] == OUTPUT and not self.has_call(item["call_id"]):
            return "invalid_tool_call_id", f"Tool call ID '{item['call_id']}' not found in conversation."
        return None

    def _insert(self, item: Event, after: str | None) -> str | None:
        """At the end, unless the event names a place; returns the id of the item before it."""
        ids = [known["id"] for known in self.items]
        place = 0 if after == "root" else ids.index(after) + 1 if after in ids else len(ids)
        self.items.insert(place, item)
        return ids[place - 1] if place else None

    def _begin(self, event: Event) -> list[Event]:
        if self.active is not None:
            words = f"Conversation already has an active response in progress: {self.active}."
            return [self._refuse(event, "conversation_already_has_active_response", words)]
        self._may_call = (event.get("response") or {}).get("tool_choice") != "none"
        self.active = f"resp_{self.number}_{next(self._count)}"
        return [self._event("response.created", response=self._response(self.active, "in_progress", []))]

    # — what the model adds —

    def _wanted(self) -> list[tuple[str, str]]:
        """The calls that the messages ask for and the conversation does not hold yet."""
        calls = [item for item in self.items if item["type"] == "function_call"]
        made = {canary for call in calls for canary in CANARY.findall(call["arguments"])}
        return [
            (tool, canary)
            for item in self.items
            if item["type"] == "message" and item["role"] == "user"
            for tool, canary in question(item).get("calls", [])
            if CANARY.findall(canary)[0] not in made
        ]

    def _call(self, tool: str, canary: str) -> Event:
        number = next(self._count)
        item = {
            "id": f"item_{self.number}_{number}",
            "type": "function_call",
            "status": "completed",
            "name": tool,
            "call_id": f"call_{self.number}_{number}",
            "arguments": json.dumps({"canary": canary}),
        }
        self.items.append(item)
        return item

    def _words(self) -> Event:
        """Every canary of a result that was not spoken of yet, so that whoever hears it can tell whose it is."""
        answered = {item["call_id"] for item in self.items if item["type"] == OUTPUT}
        told = [item for item in self.items if item.get("call_id") in answered]  # calls as well: an error names none
        new = {canary for item in told for canary in _canaries(item)} - self._spoken_of
        self._spoken_of |= new
        number = next(self._count)
        text = f"[{self.number}.{number}] {' '.join(sorted(new)) or 'Nothing new.'}"
        item = {"id": f"item_{self.number}_{number}", "type": "message", "role": "assistant", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": text}]  # type: ignore[assignment]
        self.items.append(item)
        return item

    def _item_events(self, response_id: str, place: int, item: Event) -> list[Event]:
        """A finished item as both families of events show it."""
        where = {"response_id": response_id, "output_index": place}
        events = [self._event("conversation.item.added", previous_item_id=None, item={**item, "status": "in_progress"})]
        if item["type"] == "function_call":
            pieces = {**where, "item_id": item["id"], "call_id": item["call_id"], "arguments": item["arguments"]}
            events.append(self._event("response.function_call_arguments.done", **pieces))
        return [
            self._event("response.output_item.added", **where, item={**item, "status": "in_progress"}),
            *events,
            self._event("conversation.item.done", previous_item_id=None, item=item),
            self._event("response.output_item.done", **where, item=item),
        ]

    def _response(self, response_id: str, status: str, output: list[Event]) -> Event:
        conversation = {"object": "realtime.response", "conversation_id": f"conv_{self.number}"}
        return {"id": response_id, "status": status, "output": output, **conversation}

    def _refuse(self, event: Event, code: str, message: str) -> Event:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        return self._event("error", error={**error, "event_id": event.get("event_id")})

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": kind, "event_id": f"event_{self.number}_{next(self._count)}", **fields}


def question(item: Event) -> Event:
    """What a client's message asks for; empty where it is none of ours."""
    try:
        asked = json.loads(item["content"][0]["text"])
    except (ValueError, LookupError):
        return {}
    return asked if isinstance(asked, dict) else {}


def _canaries(item: Event) -> set[str]:
    return {match.group() for match in CANARY.finditer(json.dumps(item))}
