"""A Realtime API in miniature: what a server does with a conversation's one response slot, and nothing else.

It follows the protocol and is free in all that the protocol leaves open: when a response ends, when the user speaks,
how long an event is on its way, whether a refusal names the event it refuses, whether an item that is sent while a
response runs is taken in at once or after it, whether the news of a response may come after a refusal because of it,
and that of its end after the next has begun. Written from the protocol alone, it shares nothing with the code under
test.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.unit.gateway.conversation.script import STARTED, STOPPED, call, created, done, refused

Event = dict[str, Any]


@dataclass(frozen=True)
class Habits:
    """What the protocol leaves open, and one server does the same way each time."""

    names_refusals: bool = True
    defers_items: bool = False
    announces_late: bool = False
    answers_the_user: bool = True
    lets_the_user_interrupt: bool = True
    reports_ends_late: bool = False
    shows_metadata: bool = True
    announces: bool = True
    """`response.created` comes first; else an item of the response does."""


@dataclass
class Response:
    id: str
    saw: frozenset[str]
    """The call ids whose results stood in the conversation when it began."""
    asked_by: str | None
    """The event id of the response.create, or None where the server began it by itself."""
    has_died: bool = False
    is_word: bool = False
    """It was told to say something that tells no result."""


@dataclass
class Server:
    habits: Habits
    result_listener: deque[Event] = field(default_factory=deque)
    outbox: deque[Event] = field(default_factory=deque)
    responses: list[Response] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    """The call ids of all results that it was ever sent."""
    refusals: list[str] = field(default_factory=list)
    is_running: bool = False
    is_spoken_to: bool = False
    _calls: int = 0
    _items: set[str] = field(default_factory=set)
    _deferred: list[Event] = field(default_factory=list)
    _unannounced: Event | None = None
    _unreported: list[Event] = field(default_factory=list)

    def read(self) -> None:
        """Take the next client event."""
        if not self.result_listener:
            return
        event = self.result_listener.popleft()
        if event["type"] == "conversation.item.create" and "call_id" in event["item"]:
            self.outputs.append(event["item"]["call_id"])
            self._deferred.append(event)
            if not (self.is_running and self.habits.defers_items):
                self.take_in()
        elif event["type"] == "response.create":
            self._asked(event)

    def take_in(self) -> None:
        """What was put off while a response ran becomes part of the conversation."""
        for event in self._deferred:
            item = event["item"]
            self._items.add(item["call_id"])
            self._say({"type": "conversation.item.added", "item": item})
            self._say({"type": "conversation.item.done", "item": item})
        self._deferred.clear()

    def ask_for_a_call(self) -> str | None:
        """The running response finishes a function_call item; returns its call id."""
        if not self.is_running:
            return None
        self._calls += 1
        call_id = f"call_{self._calls}"
        self._say(call(call_id, self.responses[-1].id))
        return call_id

    def finish(self, status: str = "completed") -> None:
        if self.is_running:
            self.is_running = False
            self._say()
            self._unreported.append(done(self.responses[-1].id, status))
            if not self.habits.reports_ends_late:
                self.report()

    def die(self) -> None:
        """The running response comes to nothing, and an error that names no event is all that is said of it."""
        if self.is_running:
            self.is_running = False
            self.responses[-1].has_died = True
            self._say({"type": "error", "error": {"type": "server_error", "message": "The backend has failed."}})

    def hear(self) -> None:
        """The user begins to speak, or stops."""
        self.is_spoken_to = not self.is_spoken_to
        if self.is_spoken_to:
            self._say(STARTED)
            if self.habits.lets_the_user_interrupt:
                self.finish("cancelled")
            return
        self._say(STOPPED)
        if self.habits.answers_the_user and not self.is_running:
            self.begin(None)

    def announce(self) -> None:
        """The news of a response that has begun already."""
        if self._unannounced is not None:
            self.outbox.append(self._unannounced)
            self._unannounced = None

    def report(self) -> None:
        """The news of responses that are over already."""
        self.outbox.extend(self._unreported)
        self._unreported.clear()

    def _asked(self, event: Event) -> None:
        event_id, wanted = event["event_id"], event.get("response") or {}
        if self.is_running:
            self.refusals.append(event_id)
            self.outbox.append(refused(event_id if self.habits.names_refusals else None))
            return
        self.take_in()
        self.begin(event_id, wanted.get("metadata"), is_word="metadata" in wanted)

    def begin(self, asked_by: str | None, metadata: Event | None = None, *, is_word: bool = False) -> None:
        response = Response(f"R{len(self.responses)}", frozenset(self._items), asked_by, is_word)
        self.responses.append(response)
        self.is_running = True
        self.announce()
        self._unannounced = created(response.id) if self.habits.announces else _added(response.id)
        if self.habits.shows_metadata and self.habits.announces:
            self._unannounced["response"]["metadata"] = metadata
        if asked_by is not None or not self.habits.announces_late:
            self.announce()

    def _say(self, *events: Event) -> None:
        self.announce()
        self.outbox.extend(events)


def _added(response_id: str) -> Event:
    item = {"id": f"item_{response_id}", "type": "message", "role": "assistant", "content": []}
    return {"type": "response.output_item.added", "response_id": response_id, "item": item}
