"""A Realtime API whose model does whatever the user says: what keeps it from harm must stand elsewhere.

It is no manner of the simulator, as no server does what it does: it sends broken frames when told to, and keeps each
frame as it came, byte for byte. A user's text that is a JSON object is an order:

    {"call": [{"name": "look", "arguments": "{…}"}]}   calls these functions, arguments as they stand there; with
                                                       "pad": 1000 a ~ in them is written so many times
    {"say": "words"}                                   says them
    {"send": ["{…}", …]}                               sends these frames as they stand there; ~KEY~ is the key that
                                                       the gateway came with
    {"talk": 100}                                      so many pieces of audio, as fast as they are taken
    {"hang": true}                                     begins a response, and does not end it by itself
    {"usage": {…}}                                     beside any of these: what the response is said to have used

Any other text is repeated. What functions returned is read aloud, and followed where it is an order itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Event = dict[str, Any]

SOUND = base64.b64encode(bytes(24_000)).decode()
"""Half a second of silence."""
USAGE: Event = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"text_tokens": 20, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 0},
}
OURS = "rb_"
"""How the ids of the gateway's own events begin."""


@dataclass
class Heard:
    """One connection: what the gateway sent on it, as it came, and with which headers it came."""

    number: int
    headers: dict[str, str]
    frames: list[str] = field(default_factory=list)
    is_open: bool = True

    @property
    def events(self) -> list[Event]:
        return [json.loads(frame) for frame in self.frames]

    def of_kind(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    def outputs(self) -> list[Event]:
        """The answers to calls, oldest first."""
        items = [event["item"] for event in self.of_kind("conversation.item.create")]
        return [item for item in items if item["type"] == "function_call_output"]

    def audio_bytes(self) -> int:
        """Of all audio that was passed on, before base64."""
        return sum(len(event["audio"]) * 3 // 4 for event in self.of_kind("input_audio_buffer.append"))


@dataclass
class Gullible:
    """All connections there were; `port` is where it listens. Any thread may look."""

    port: int = 0
    connections: list[Heard] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def about(self, words: str) -> list[Heard]:
        """The connections on which something was said that holds these words, oldest first."""
        written = json.dumps(words)[1:-1]
        return [heard for heard in self.connections if any(written in frame for frame in list(heard.frames))]

    def everything(self) -> str:
        """Every frame of every connection."""
        return "\n".join(frame for heard in self.connections for frame in list(heard.frames))


@contextmanager
def gullible() -> Iterator[Gullible]:
    """It listens for as long as the context lasts, in a thread of its own."""
    model, ready = Gullible(), threading.Event()
    hang_up: list[Callable[[], object]] = []

    async def listen() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        hang_up.append(lambda: loop.call_soon_threadsafe(over.set))
        async with serve(lambda socket: _converse(model, socket), "127.0.0.1", 0, max_size=None, compression=None) as s:
            model.port = next(iter(s.sockets)).getsockname()[1]
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield model
    finally:
        hang_up[0]()
        thread.join(10)


async def _converse(model: Gullible, socket: ServerConnection) -> None:
    request = socket.request
    assert request is not None
    heard = Heard(len(model.connections), dict(request.headers.raw_items()))
    model.connections.append(heard)
    mouth = _Mouth(socket, heard.headers.get("Authorization", "").removeprefix("Bearer "))
    try:
        await mouth.tell("session.created", session=mouth.session)
        async for frame in socket:
            assert isinstance(frame, str)
            heard.frames.append(frame)
            await mouth.hear(json.loads(frame))
    except ConnectionClosed:
        pass
    finally:
        heard.is_open = False


@dataclass
class _Mouth:
    """What one connection is answered."""

    socket: ServerConnection
    key: str
    session: Event = field(default_factory=lambda: {"id": "sess_1", "type": "realtime", "instructions": "default"})
    orders: list[str] = field(default_factory=list)
    active: str | None = None
    _ids: Any = field(default_factory=lambda: count(1))

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, "event_id": f"event_{next(self._ids)}", **fields}))

    async def hear(self, event: Event) -> None:
        answers: dict[str, Callable[[Event], Awaitable[None]]] = {
            "session.update": self._update,
            "conversation.item.create": self._item,
            "conversation.item.truncate": self._truncate,
            "input_audio_buffer.commit": self._commit,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }
        if event["type"] in answers:
            await answers[event["type"]](event)

    async def _update(self, event: Event) -> None:
        self.session = {**self.session, **event["session"], "id": "sess_1"}
        await self.tell("session.updated", session=self.session)

    async def _item(self, event: Event) -> None:
        item = {"id": f"item_{next(self._ids)}", **event["item"], "status": "completed"}
        if item["type"] == "function_call_output":
            self.orders.append(item["output"])
        elif item.get("role") == "user":
            self.orders.append("".join(part.get("text", "") for part in item["content"]))
        await self.tell("conversation.item.added", previous_item_id=None, item=item)
        await self.tell("conversation.item.done", previous_item_id=None, item=item)

    async def _truncate(self, event: Event) -> None:
        told = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        await self.tell("conversation.item.truncated", **told)

    async def _commit(self, _: Event) -> None:
        await self.tell("input_audio_buffer.committed", previous_item_id=None, item_id=f"item_{next(self._ids)}")

    async def _respond(self, event: Event) -> None:
        if self.active is not None:
            error = {"type": "invalid_request_error", "code": "conversation_already_has_active_response", "param": None}
            told = {"message": "one at a time", "event_id": event.get("event_id")}
            return await self.tell("error", error={**error, **told})
        self.active = f"resp_{next(self._ids)}"
        metadata = (event.get("response") or {}).get("metadata")
        await self.tell("response.created", response=self._response("in_progress", metadata=metadata))
        order = _order(self.orders)
        self.orders.clear()
        for frame in order.get("send", []):
            await self.socket.send(frame.replace("~KEY~", self.key))
        items = [await self._call(call, index) for index, call in enumerate(order.get("call", []))]
        if "talk" in order:
            await self._talk(order["talk"])
        if "say" in order:
            items.append(await self._say(order["say"]))
        if not order.get("hang"):
            await self._end("completed", items, order.get("usage", USAGE), metadata)
        return None

    async def _call(self, call: Event, index: int) -> Event:
        call_id = call.get("call_id") or f"call_{id(self)}_{next(self._ids)}"[-32:]
        item = {"id": f"item_{next(self._ids)}", "type": "function_call", "status": "completed", "call_id": call_id}
        item |= {"name": call["name"], "arguments": call["arguments"].replace("~", "~" * call.get("pad", 1))}
        place = {"response_id": self.active, "output_index": index}
        begun = {**item, "status": "in_progress", "arguments": ""}
        await self.tell("response.output_item.added", **place, item=begun)
        await self.tell("conversation.item.added", item=begun)
        pieces = {**place, "item_id": item["id"], "call_id": call_id}
        await self.tell("response.function_call_arguments.delta", **pieces, delta=item["arguments"])
        await self.tell("response.function_call_arguments.done", **pieces, arguments=item["arguments"])
        await self.tell("conversation.item.done", item=item)
        await self.tell("response.output_item.done", **place, item=item)
        return item

    async def _talk(self, pieces: int) -> None:
        place = {"response_id": self.active, "item_id": "item_spoken", "output_index": 0, "content_index": 0}
        for _ in range(pieces):
            await self.tell("response.output_audio.delta", **place, delta=SOUND)

    async def _say(self, words: str) -> Event:
        item: Event = {"id": f"item_{next(self._ids)}", "type": "message", "role": "assistant", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": words}]
        place = {"response_id": self.active, "output_index": 0}
        await self.tell("response.output_item.added", **place, item={**item, "status": "in_progress", "content": []})
        await self.tell("response.output_text.delta", **place, item_id=item["id"], content_index=0, delta=words)
        await self.tell("response.output_item.done", **place, item=item)
        return item

    async def _cancel(self, _: Event) -> None:
        if self.active is not None:
            await self._end("cancelled", [], USAGE, None)

    async def _end(self, status: str, items: list[Event], usage: Event, metadata: Event | None) -> None:
        response = self._response(status, output=items, usage=usage, metadata=metadata)
        self.active = None
        await self.tell("response.done", response=response)

    def _response(self, status: str, **fields: Any) -> Event:
        shown = {key: self.session.get(key) for key in ("instructions", "tools")}
        return {"id": self.active, "object": "realtime.response", "status": status, "output": [], **shown, **fields}


def _order(texts: list[str]) -> Event:
    """What it is told to do, by whoever told it last."""
    for text in reversed(texts):
        found = _read(_read(text))  # what a function returned as text is JSON text
        if isinstance(found, dict) and found.keys() & {"call", "say", "send", "talk", "hang"}:
            return found
    return {"say": " | ".join(texts) or "Well?"}


def _read(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return None
