"""A Realtime API that speaks and hears µ-law, as on the telephone. It understands no word: each turn has its answer.

A frame of the caller's audio is loud if it holds any byte but silence. A turn ends with 200 ms of silence, and takes
the next answer of the list: `{"say": ms}` sounds so long, `{"call": name, "arguments": {…}}` calls a function, and both
may stand in one. Without an answer left, it says "Well?". What functions returned is read aloud, in full.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Event = dict[str, Any]
SILENCE = 0xFF
BYTES_A_MS = 8
PAUSE_MS = 200
SAID_MS = 2_000
"""How long a sentence sounds, unless the answer says otherwise."""
GREETING = "Good day."


@dataclass
class Conversation:
    """One connection: what it was sent."""

    events: list[Event] = field(default_factory=list)
    session: Event = field(default_factory=dict)
    heard_ms: float = 0.0

    def of_kind(self, kind: str) -> list[Event]:
        return [event for event in list(self.events) if event["type"] == kind]

    def outputs(self, call_id: str | None = None) -> list[Event]:
        items = [event["item"] for event in self.of_kind("conversation.item.create")]
        found = [item for item in items if item["type"] == "function_call_output"]
        return [item for item in found if call_id in (None, item["call_id"])]


@dataclass
class PhoneModel:
    """All conversations there were. Any thread may look."""

    answers: list[Event]
    port: int = 0
    conversations: list[Conversation] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"


@contextmanager
def phone_model(answers: Sequence[Event] = ()) -> Iterator[PhoneModel]:
    """It listens for as long as the context lasts, in a thread of its own."""
    model, ready = PhoneModel(list(answers)), threading.Event()
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


async def _converse(model: PhoneModel, socket: ServerConnection) -> None:
    conversation = Conversation()
    model.conversations.append(conversation)
    mouth = _Mouth(socket, model, conversation)
    try:
        await mouth.tell("session.created", session={"id": "sess_1", "type": "realtime"})
        async for frame in socket:
            event = json.loads(frame)
            conversation.events.append(event)
            await mouth.hear(event)
    except ConnectionClosed:
        pass


@dataclass
class _Mouth:
    """What one connection is answered."""

    socket: ServerConnection
    model: PhoneModel
    conversation: Conversation
    active: str | None = None
    results: list[str] = field(default_factory=list)
    turns: int = 0
    answered: int = 0
    silent_ms: float = PAUSE_MS
    ids: Any = field(default_factory=lambda: count(1))

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, "event_id": f"event_{next(self.ids)}", **fields}))

    async def hear(self, event: Event) -> None:
        answers: dict[str, Callable[[Event], Awaitable[None]]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._audio,
            "conversation.item.create": self._item,
            "conversation.item.truncate": self._truncate,
            "response.create": self._respond,
        }
        if event["type"] in answers:
            await answers[event["type"]](event)

    async def _update(self, event: Event) -> None:
        self.conversation.session |= event["session"]
        await self.tell("session.updated", session={**self.conversation.session, "id": "sess_1"})

    async def _audio(self, event: Event) -> None:
        audio = base64.b64decode(event["audio"])
        ms = len(audio) / BYTES_A_MS
        self.conversation.heard_ms += ms
        is_loud = any(byte != SILENCE for byte in audio)
        item = f"item_user_{self.turns}"
        if is_loud and self.silent_ms >= PAUSE_MS:
            self.turns += 1
            await self.tell("input_audio_buffer.speech_started", item_id=f"item_user_{self.turns}", audio_start_ms=0)
            await self._end("cancelled", [])
        was, self.silent_ms = self.silent_ms, 0.0 if is_loud else self.silent_ms + ms
        if was < PAUSE_MS <= self.silent_ms:
            await self.tell("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=0)
            await self.tell("input_audio_buffer.committed", item_id=item, previous_item_id=None)
            await self._show({"id": item, "type": "message", "role": "user", "content": [{"type": "input_audio"}]})
            await self._respond({})

    async def _item(self, event: Event) -> None:
        item = {"id": f"item_{next(self.ids)}", **event["item"], "status": "completed"}
        if item["type"] == "function_call_output":
            self.results.append(item["output"])
        await self._show(item)

    async def _show(self, item: Event) -> None:
        await self.tell("conversation.item.added", previous_item_id=None, item=item)
        await self.tell("conversation.item.done", previous_item_id=None, item=item)

    async def _truncate(self, event: Event) -> None:
        await self.tell(
            "conversation.item.truncated", **{key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        )

    async def _respond(self, _: Event) -> None:
        if self.active is not None:
            return
        self.active = f"resp_{id(self)}_{next(self.ids)}"
        await self.tell("response.created", response=self._response("in_progress"))
        answer = self._next()
        items = []
        if "words" in answer:
            items.append(await self._say(answer["words"], answer.get("say", SAID_MS)))
        if "call" in answer:
            items.append(await self._call(answer["call"], answer.get("arguments", {}), len(items)))
        await self._end("completed", items)

    def _next(self) -> Event:
        if self.results:
            words, self.results = " ".join(self.results), []
            return {"words": words}
        if not self.turns:
            return {"words": GREETING}
        answer = self.model.answers.pop(0) if self.model.answers else {"say": SAID_MS}
        return {**({"words": answer.get("words", "Well?")} if "say" in answer else {}), **answer}

    async def _say(self, words: str, ms: float) -> Event:
        item: Event = {"id": f"item_{id(self)}_{next(self.ids)}", "type": "message", "role": "assistant"}
        place = {"response_id": self.active, "output_index": 0}
        part = {**place, "item_id": item["id"], "content_index": 0}
        await self.tell("response.output_item.added", **place, item={**item, "status": "in_progress", "content": []})
        await self.tell("conversation.item.added", previous_item_id=None, item={**item, "content": []})
        await self.tell("response.output_audio_transcript.delta", **part, delta=words)
        sound = base64.b64encode(bytes([0x55]) * BYTES_A_MS * 100).decode()
        for _ in range(round(ms / 100)):
            await self.tell("response.output_audio.delta", **part, delta=sound)
        await self.tell("response.output_audio.done", **part)
        await self.tell("response.output_audio_transcript.done", **part, transcript=words)
        item |= {"status": "completed", "content": [{"type": "output_audio", "transcript": words}]}
        await self.tell("response.output_item.done", **place, item=item)
        await self.tell("conversation.item.done", previous_item_id=None, item=item)
        return item

    async def _call(self, name: str, arguments: Event, index: int) -> Event:
        place, call_id = {"response_id": self.active, "output_index": index}, f"call_{id(self)}_{next(self.ids)}"
        item: Event = {"id": f"item_{call_id}", "type": "function_call", "call_id": call_id, "name": name}
        item |= {"status": "completed", "arguments": json.dumps(arguments)}
        await self.tell("response.output_item.added", **place, item={**item, "status": "in_progress", "arguments": ""})
        await self._show(item)
        await self.tell("response.output_item.done", **place, item=item)
        return item

    async def _end(self, status: str, items: list[Event]) -> None:
        if self.active is not None:
            response, self.active = self._response(status, output=items), None
            await self.tell("response.done", response=response)

    def _response(self, status: str, **fields: Any) -> Event:
        return {"id": self.active, "object": "realtime.response", "status": status, "output": [], **fields}
