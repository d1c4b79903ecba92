"""The smallest Realtime server that calls functions. Each of its switches is one way in which real servers differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.conformance.player.wire import Event, Wire

ADDED = "conversation.item.added"
OUTPUT = "function_call_output"


@dataclass(frozen=True)
class Call:
    """A function call as the model writes it."""

    name: str
    arguments: str
    call_id: str
    status: str = "completed"

    @classmethod
    def of(cls, name: str, call_id: str, **arguments: Any) -> Call:
        return cls(name, json.dumps(arguments), call_id)

    @property
    def item_id(self) -> str:
        return f"item_of_{self.call_id}"

    def item(self, **changes: Any) -> Event:
        item = {"id": self.item_id, "type": "function_call", "name": self.name, "arguments": self.arguments}
        return {**item, "call_id": self.call_id, "status": self.status, **changes}


@dataclass(frozen=True)
class Ways:
    """What a server does its own way; as it stands here, it does what OpenAI's does."""

    item_added: str = ADDED
    """The event that announces an item; its name was another in the beta."""
    item_done: bool = True
    """`conversation.item.done` follows; xAI sends none."""
    keeps_ids: bool = True
    """An echoed item bears the id that the client gave it."""
    echoes: str = "at once"
    """When an answer is echoed: "at once", "late" (after the response that speaks of it), or "never"."""
    output_item_done: bool = True
    """A finished call is shown as it finishes, and not in `response.done` alone."""
    lists_output: bool = True
    """`response.done` holds the items of the response."""
    call_status: bool = True
    """A finished call's item says that it is completed."""
    confirms: str = "session"
    """What `session.updated` holds: "session", "trimmed", "nested" (xAI), "no tools", "empty tools", or "nothing"."""
    names_event: bool = True
    """An error names the client event that caused it."""
    noise: tuple[Event, ...] = ()
    """Events of unknown types, sent before each event of a response."""


@dataclass
class Model:
    """Plays the server on one wire, step by step, as a test's script asks for."""

    wire: Wire
    ways: Ways = field(default_factory=Ways)
    session: Event = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(1))

    async def open(self) -> None:
        """Take the gateway's configuration and confirm it."""
        await self.tell("session.created", session={"id": "sess_1", "type": "realtime", "instructions": "default"})
        self.session = (await self.wire.receive("session.update"))["session"]
        confirmed: dict[str, Event] = {
            "session": {"session": {**self.session, "id": "sess_1"}},
            "trimmed": {"session": {**self.session, "instructions": self.session["instructions"].strip()}},
            "empty tools": {"session": {**self.session, "id": "sess_1", "tools": []}},
            "nested": {"session": {**self.session, "tools": [_nested(tool) for tool in self.session["tools"]]}},
            "no tools": {"session": {"id": "sess_1", "instructions": self.session["instructions"]}},
            "nothing": {},
        }
        await self.tell("session.updated", **confirmed[self.ways.confirms])

    async def hear_question(self) -> str:
        """The client's typed message; the response.create that follows it is taken as well."""
        item = (await self.wire.receive("conversation.item.create"))["item"]
        await self._echo(item, "item_of_user")
        await self.wire.receive("response.create")
        return str(item["content"][0]["text"])

    async def call(self, calls: Sequence[Call], *, status: str = "completed", done: bool = True) -> str:
        """A response that holds these calls; returns its id. With `done=False` it stays open."""
        response_id = await self.begin_response()
        for index, call in enumerate(calls):
            place = {"response_id": response_id, "output_index": index}
            await self.tell("response.output_item.added", **place, item=call.item(status="in_progress", arguments=""))
            await self.tell(self.ways.item_added, item=call.item(status="in_progress", arguments=""))
            pieces = {"item_id": call.item_id, "call_id": call.call_id, **place}
            await self.tell("response.function_call_arguments.delta", **pieces, delta=call.arguments)
            await self.tell("response.function_call_arguments.done", **pieces, arguments=call.arguments)
            if self.ways.item_done:
                await self.tell("conversation.item.done", item=self._finished(call))
            if self.ways.output_item_done:
                await self.tell("response.output_item.done", **place, item=self._finished(call))
        if done:
            await self.end_response(response_id, [self._finished(call) for call in calls], status)
        return response_id

    async def take_answers(self, calls: int) -> list[Event]:
        """Await the outputs of so many calls; echo them if this server does."""
        taken = []
        for _ in range(calls):
            item = (await self.wire.receive("conversation.item.create"))["item"]
            taken.append(item)
            if self.ways.echoes == "at once":
                await self._echo(item, f"item_{next(self._ids)}")
        return taken

    async def answer(self, text: str, answers: Sequence[Event] = ()) -> None:
        """Await the gateway's response.create and say something."""
        await self.wire.receive("response.create")
        await self.say(text)
        if self.ways.echoes == "late":
            for item in answers:
                await self._echo(item, f"item_{next(self._ids)}")

    async def say(self, text: str) -> None:
        """A whole response that says something."""
        response_id = await self.begin_response()
        place = {"response_id": response_id, "output_index": 0}
        item: Event = {"id": f"item_{next(self._ids)}", "type": "message", "role": "assistant", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": text}]
        await self.tell("response.output_item.added", **place, item={**item, "status": "in_progress", "content": []})
        await self.tell("response.output_text.delta", **place, item_id=item["id"], content_index=0, delta=text)
        await self.tell("response.output_item.done", **place, item=item)
        # Said by the list of items even where calls are not: a client reads its answer there.
        await self.tell("response.done", response=_response(response_id, "completed", output=[item]))

    async def begin_response(self) -> str:
        response_id = f"resp_{next(self._ids)}"
        await self.tell("response.created", response=_response(response_id, "in_progress", output=[]))
        return response_id

    async def end_response(self, response_id: str, items: Sequence[Event], status: str = "completed") -> None:
        listed = {"output": list(items)} if self.ways.lists_output else {}
        await self.tell("response.done", response=_response(response_id, status, **listed))

    async def refuse(self, frame: Event, code: str, message: str) -> None:
        """An `error` about a frame of the gateway's."""
        event_id = frame.get("event_id") if self.ways.names_event else None
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        await self.tell("error", error={**error, "event_id": event_id})

    async def tell(self, kind: str, **fields: Any) -> None:
        """Send one event, and before it the extra events of this server."""
        if kind.startswith("response."):
            for event in self.ways.noise:
                await self.wire.send(event)
        await self.wire.send({"type": kind, "event_id": f"event_{next(self._ids)}", **fields})

    async def _echo(self, item: Event, own_id: str) -> None:
        echoed = {**item, "status": "completed", "id": item.get("id", own_id) if self.ways.keeps_ids else own_id}
        await self.tell(self.ways.item_added, previous_item_id=None, item=echoed)
        if self.ways.item_done:
            await self.tell("conversation.item.done", previous_item_id=None, item=echoed)

    def _finished(self, call: Call) -> Event:
        item = call.item()
        return item if self.ways.call_status else {key: item[key] for key in item if key != "status"}


def _nested(tool: Event) -> Event:
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _response(response_id: str, status: str, **fields: Any) -> Event:
    response = {"id": response_id, "object": "realtime.response", "status": status, "conversation_id": "conv_1"}
    return {**response, "instructions": "a secret", "tools": [{"name": "a secret"}], **fields}
