"""A Realtime API that has one function called after the other, and times each: the far side of every measured call.

A turn is what was recorded of real ones: the user's turn is taken in, a response ends in a function call, the output
comes in, the client asks for a response, and the model tells the result in text. A call is timed from its finished
arguments, as they are written, until its output has been read.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

TOOL, ARGUMENTS, DONE = "work", {"name": "alpha", "milliseconds": 0}, "alpha is done"
PATIENCE = 180.0
_numbers = itertools.count(1)


@dataclass
class Batch:
    """Some sessions with so many calls each, and what came of them.

    Args:
        warm_up: calls of each session that are not timed.
        pause: seconds between two turns of a session.
    """

    sessions: int
    calls: int
    warm_up: int
    pause: float
    milliseconds: list[float] = field(default_factory=list)
    call_ids: list[str] = field(default_factory=list)
    """Of all calls, those of the warm-up too."""
    outputs: Counter[bool] = field(default_factory=Counter)
    """How many were the function's result, and how many were something else."""
    strange: str = ""
    """One of the latter."""
    began: float = 0.0
    ended: float = 0.0
    has_begun: threading.Event = field(default_factory=threading.Event)
    """All are warm, and wait for `may_go_on`."""
    may_go_on: threading.Event = field(default_factory=threading.Event)
    """Set by the measurer, once it has looked at the processes: a call may be over before that."""
    is_over: threading.Event = field(default_factory=threading.Event)
    barrier: asyncio.Barrier = field(init=False)

    def __post_init__(self) -> None:
        self.barrier = asyncio.Barrier(self.sessions)

    @property
    def rate(self) -> float:
        """Calls a second, of all sessions."""
        return self.sessions * self.calls / (self.ended - self.began)

    def took(self, call_id: str, milliseconds: float, output: str, *, is_warm: bool) -> None:
        self.call_ids.append(call_id)
        is_result = DONE in output
        self.outputs[is_result] += 1
        self.strange = self.strange if is_result else output
        if is_warm:
            self.milliseconds.append(milliseconds)


class Conversation:
    """One session, from the server's side."""

    def __init__(self, socket: ServerConnection, batch: Batch) -> None:
        self._socket = socket
        self._batch = batch

    async def run(self) -> None:
        batch = self._batch
        await self._send("session.created", session={"type": "realtime", "id": _new("sess"), "model": "gpt-realtime"})
        asked = await self._hear("response.create")
        for number in range(batch.warm_up + batch.calls):
            if number == batch.warm_up:
                await self._all_are_warm()
            await self._turn(asked if number == 0 else {}, is_warm=number >= batch.warm_up)
            if batch.pause:
                await asyncio.sleep(batch.pause)
        batch.ended = time.perf_counter()
        await batch.barrier.wait()
        batch.is_over.set()

    async def _all_are_warm(self) -> None:
        batch = self._batch
        await batch.barrier.wait()
        if not batch.has_begun.is_set():
            batch.has_begun.set()
            await asyncio.to_thread(batch.may_go_on.wait, PATIENCE)
        await batch.barrier.wait()
        batch.began = batch.began or time.perf_counter()

    async def _turn(self, asked: dict[str, Any], *, is_warm: bool) -> None:
        if not asked:
            await self._take_in_the_users_turn()
        call_id = _new("call")
        began = await self._call(asked, call_id)
        output = await self._output_of(call_id)
        self._batch.took(call_id, (time.perf_counter() - began) * 1_000, output["output"], is_warm=is_warm)
        await self._echo(output)
        await self._tell(await self._hear("response.create"))

    async def _take_in_the_users_turn(self) -> None:
        item_id, completed = _new("item"), "conversation.item.input_audio_transcription.completed"
        await self._send("input_audio_buffer.committed", previous_item_id=None, item_id=item_id)
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
        await self._echo(item)
        await self._send(completed, item_id=item_id, content_index=0, transcript="Work on alpha.")

    async def _call(self, asked: dict[str, Any], call_id: str) -> float:
        """Send a response that calls the function; return when its arguments were finished."""
        response = await self._begin(asked)
        item = {"id": _new("item"), "type": "function_call", "name": TOOL, "call_id": call_id}
        begun, done = ({**item, "status": s, "arguments": ""} for s in ("in_progress", "completed"))
        arguments = done["arguments"] = json.dumps(ARGUMENTS)
        at = {"response_id": response["id"], "output_index": 0}
        of_item = {**at, "item_id": item["id"], "call_id": call_id}
        await self._send("response.output_item.added", **at, item=begun)
        await self._send("conversation.item.added", previous_item_id=None, item=begun)
        await self._send("response.function_call_arguments.delta", **of_item, delta=arguments)
        began = time.perf_counter()
        await self._send("response.function_call_arguments.done", **of_item, name=TOOL, arguments=arguments)
        await self._send("conversation.item.done", previous_item_id=None, item=done)
        await self._send("response.output_item.done", **at, item=done)
        await self._end(response, done)
        return began

    async def _tell(self, asked: dict[str, Any]) -> None:
        response = await self._begin(asked)
        item = {"id": _new("item"), "type": "message", "role": "assistant"}
        begun, part = {**item, "status": "in_progress", "content": []}, {"type": "text", "text": ""}
        done = {**item, "status": "completed", "content": [{"type": "output_text", "text": DONE}]}
        at = {"response_id": response["id"], "output_index": 0}
        of_part = {**at, "item_id": item["id"], "content_index": 0}
        await self._send("response.output_item.added", **at, item=begun)
        await self._send("conversation.item.added", previous_item_id=None, item=begun)
        await self._send("response.content_part.added", **of_part, part=part)
        await self._send("response.output_text.delta", **of_part, delta=DONE)
        await self._send("response.output_text.done", **of_part, text=DONE)
        await self._send("response.content_part.done", **of_part, part={**part, "text": DONE})
        await self._send("conversation.item.done", previous_item_id=None, item=done)
        await self._send("response.output_item.done", **at, item=done)
        await self._end(response, done)

    async def _begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        metadata = (asked.get("response") or {}).get("metadata")
        response = {
            "object": "realtime.response",
            "id": _new("resp"),
            "conversation_id": "conv_1",
            "metadata": metadata,
        }
        await self._send("response.created", response={**response, "status": "in_progress", "output": []})
        return response

    async def _end(self, response: dict[str, Any], item: dict[str, Any]) -> None:
        await self._send("response.done", response={**response, "status": "completed", "output": [item]})

    async def _echo(self, item: dict[str, Any]) -> None:
        named = {"id": _new("item"), **item}
        await self._send("conversation.item.added", previous_item_id=None, item=named)
        await self._send("conversation.item.done", previous_item_id=None, item=named)

    async def _output_of(self, call_id: str) -> dict[str, Any]:
        while True:
            item: dict[str, Any] = (await self._hear("conversation.item.create"))["item"]
            if item.get("call_id") == call_id and item["type"] == "function_call_output":
                return item
            await self._echo(item)

    async def _hear(self, kind: str) -> dict[str, Any]:
        """Answer what the client sends until it is of this kind."""
        while True:
            event: dict[str, Any] = json.loads(await self._socket.recv())
            if event["type"] == kind:
                return event
            if event["type"] == "session.update":
                session = {"id": "sess_1", "model": "gpt-realtime", **event["session"]}
                await self._send("session.updated", session=session)
            elif event["type"] == "conversation.item.create":
                await self._echo(event["item"])

    async def _send(self, kind: str, **rest: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, "event_id": _new("event"), **rest}))


def _new(kind: str) -> str:
    return f"{kind}_{next(_numbers)}"


class Upstream:
    """The server, in a thread of its own; it measures one batch at a time."""

    def __init__(self) -> None:
        self.port = 0
        self.batch: Batch | None = None
        self._ready = threading.Event()
        self._closing: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="upstream", daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop and self._closing:
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def begin(self, batch: Batch) -> Batch:
        """Measure this batch in the sessions that connect from now on."""
        self.batch = batch
        return batch

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self._answer, "127.0.0.1", 0, compression=None, max_size=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._closing.wait()

    async def _answer(self, socket: ServerConnection) -> None:
        assert self.batch
        try:
            await Conversation(socket, self.batch).run()
            await socket.wait_closed()
        except ConnectionClosed:
            pass  # a side that leaves early is noticed by what it owes
