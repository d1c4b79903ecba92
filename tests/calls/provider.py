"""A Realtime API for calls, without voice: it places calls, and lets gateways and a page take part in one conversation.

What each side sends is applied to the one session, and every sideband is told what came of it, as OpenAI's does: no
`session.created`, and the events of the page among them. The test is the model: it asks for functions, and answers.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from cli.local_stack.process_group import free_port
from tests.line import KEY, eventually

Event = dict[str, Any]
OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendrecv\r\n"
ANSWER = "v=0\r\no=- 2 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=setup:active\r\n"
READ_ONLY = {"id": "sess_fake", "object": "realtime.session", "expires_at": 0}


@dataclass
class FakeCall:
    """One call: its session, its items, and who has sent what."""

    call_id: str
    session: Event
    items: dict[str, Event] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    """Every event of the gateways, in order."""
    responses: list[str] = field(default_factory=list)
    """The responses that were asked for with `response.create`."""
    sockets: list[WebSocket] = field(default_factory=list)
    is_over: bool = False
    hung_up: bool = False
    hang_ups: int = 0
    """How often a gateway asked to hang up, heard or not."""

    def outputs(self) -> list[Event]:
        """The outputs of functions that are in the conversation."""
        return [item for item in self.items.values() if item["type"] == "function_call_output"]

    def sent(self, kind: str) -> list[Event]:
        """All events of one type that gateways have sent."""
        return [event for event in self.heard if event["type"] == kind]


class FakeProvider:
    """The server; its thread is its own. `calls` holds the calls by their ids."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: dict[str, FakeCall] = {}
        self.placed: list[tuple[str, bytes]] = []
        """Content type and body of each request for a call."""
        self.refusal: tuple[int, Event] | None = None
        """How the next calls are refused."""
        self.recorded: tuple[str, str] | None = None
        """Location and SDP with which the next call is answered, as a real server did."""
        self.unknown_for = 0
        """How many sidebands are answered with 404 before a call is known."""
        self.refused_hang_ups: list[int] = []
        """HTTP statuses with which the next hang-ups are refused."""
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    @property
    def only(self) -> FakeCall:
        """The call that was placed last."""
        return next(reversed(self.calls.values()))

    # — as the browser —

    def page_sends(self, call: FakeCall, event: Event) -> None:
        """Have the page of the call send an event on its data channel."""
        self._run(self._apply(call, event, None))

    # — as the model, and the caller —

    def asks_for(self, call: FakeCall, name: str, arguments: Event) -> str:
        """Have the model call a function, in a response to the caller's words; returns the call's id."""
        call_id = f"call_{next(self._numbers)}"
        self._run(self._ask(call, name, arguments, call_id))
        return call_id

    def tells(self, call: FakeCall, *events: Event) -> None:
        """Tell every sideband these events."""
        for event in events:
            self._run(self._tell(call, event))

    def ends(self, call: FakeCall) -> None:
        """Have the caller hang up."""
        self._run(self._end(call))

    def drops(self, call: FakeCall) -> None:
        """Drop the sidebands; the call goes on."""

        async def close() -> None:
            for socket in list(call.sockets):
                await socket.close(1001)

        self._run(close())

    def attended(self, call: FakeCall, sidebands: int = 1) -> None:
        """Wait until so many gateways are beside the call."""
        eventually(lambda: len(call.sockets) == sidebands, f"{sidebands} sidebands of the call")

    # — inside —

    def _run(self, doing: Any) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    async def _place(self, request: Request) -> Response:
        body = await request.body()
        self.placed.append((request.headers["content-type"], body))
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"code": "invalid_api_key", "message": f"Bad key {KEY}"}}, 401)
        if self.refusal is not None:
            return JSONResponse(self.refusal[1], self.refusal[0])
        session = json.loads(body.split(b"application/json\r\n\r\n")[1].split(b"\r\n--")[0])
        location, answer = self.recorded or (f"/v1/realtime/calls/rtc_u1_{next(self._numbers)}", ANSWER)
        call = FakeCall(location.rpartition("/")[2], {**session, **READ_ONLY})
        self.calls[call.call_id] = call
        return Response(answer, 201, {"location": location}, "text/plain; charset=utf-8")

    async def _steer(self, request: Request) -> Response:
        call = self.calls.get(request.path_params["call_id"])
        if call is None or call.is_over:
            return JSONResponse({"error": {"code": "call_id_not_found"}}, 404)
        hangs_up = request.path_params["what"] == "hangup"
        if hangs_up:
            call.hang_ups += 1
            if self.refused_hang_ups:
                return JSONResponse({"error": {"code": "not_now"}}, self.refused_hang_ups.pop(0))
        call.hung_up = hangs_up
        await self._end(call)
        return Response(status_code=200)

    async def _sideband(self, socket: WebSocket) -> None:
        call = self.calls.get(socket.query_params.get("call_id", ""))
        if call is None or call.is_over or self.unknown_for > 0:
            self.unknown_for = max(0, self.unknown_for - 1)
            await socket.send_denial_response(JSONResponse({"error": {"code": "call_id_not_found"}}, 404))
            return
        await socket.accept()
        call.sockets.append(socket)
        try:
            while True:
                event = json.loads(await socket.receive_text())
                call.heard.append(event)
                await self._apply(call, event, socket)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            if socket in call.sockets:
                call.sockets.remove(socket)

    async def _apply(self, call: FakeCall, event: Event, by: WebSocket | None) -> None:
        match event["type"]:
            case "session.update":
                call.session = _merged(call.session, event["session"])
                await self._tell(call, {"type": "session.updated", "session": call.session})
            case "conversation.item.create":
                await self._create(call, event, by)
            case "conversation.item.delete":
                if call.items.pop(event["item_id"], None) is not None:
                    call.deleted.append(event["item_id"])
                    await self._tell(call, {"type": "conversation.item.deleted", "item_id": event["item_id"]})
            case "conversation.item.truncate":
                await self._tell(call, {**event, "type": "conversation.item.truncated"})
            case "response.create":
                await self._begin(call, event, "server" if by is None else "gateway")
            case "response.cancel":
                cancelled: Event = {"id": event.get("response_id"), "status": "cancelled", "output": []}
                await self._tell(call, {"type": "response.done", "response": cancelled})

    async def _create(self, call: FakeCall, event: Event, by: WebSocket | None) -> None:
        item = {"id": f"item_{next(self._numbers)}", **event["item"]}
        if item["id"] in call.items:
            why = {"type": "invalid_request_error", "code": "item_already_exists", "event_id": event.get("event_id")}
            message = f"Error adding item: the item with id '{item['id']}' already exists."
            if by is not None:
                await by.send_text(json.dumps({"type": "error", "error": {**why, "message": message}}))
            return
        call.items[item["id"]] = item
        for kind in ("added", "done"):
            await self._tell(call, {"type": f"conversation.item.{kind}", "item": item, "previous_item_id": None})

    async def _begin(self, call: FakeCall, event: Event, who: str) -> None:
        wanted = event.get("response") or {}
        response_id = f"resp_{next(self._numbers)}"
        if who == "gateway":
            call.responses.append(response_id)
        conversation = None if wanted.get("conversation") == "none" else "conv_1"
        said: Event = {
            "id": response_id,
            "conversation_id": conversation,
            "metadata": wanted.get("metadata"),
            "output": [],
        }
        await self._tell(call, {"type": "response.created", "response": {**said, "status": "in_progress"}})
        if who == "gateway":
            await self._tell(call, {"type": "response.done", "response": {**said, "status": "completed"}})

    async def _ask(self, call: FakeCall, name: str, arguments: Event, call_id: str) -> None:
        user, answer, asked = (f"item_{next(self._numbers)}", f"resp_{call_id}", f"item_{next(self._numbers)}")
        item = {"id": asked, "type": "function_call", "call_id": call_id, "name": name}
        begun, done = {**item, "status": "in_progress", "arguments": ""}, {**item, "status": "completed"}
        done["arguments"] = json.dumps(arguments)
        call.items[asked] = done
        spoken = {"id": user, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        response = {"id": answer, "conversation_id": "conv_1", "output": []}
        for event in (
            {"type": "input_audio_buffer.speech_started", "item_id": user, "audio_start_ms": 0},
            {"type": "input_audio_buffer.speech_stopped", "item_id": user, "audio_end_ms": 900},
            {"type": "input_audio_buffer.committed", "item_id": user},
            {"type": "conversation.item.added", "item": {**spoken, "status": "completed"}},
            {"type": "response.created", "response": {**response, "status": "in_progress"}},
            {"type": "response.output_item.added", "response_id": answer, "output_index": 0, "item": begun},
            {"type": "conversation.item.added", "item": begun},
            {"type": "conversation.item.done", "item": done},
            {"type": "response.output_item.done", "response_id": answer, "output_index": 0, "item": done},
            {"type": "response.done", "response": {**response, "status": "completed", "output": [done]}},
        ):
            await self._tell(call, event)

    async def _tell(self, call: FakeCall, event: Event) -> None:
        for socket in list(call.sockets):
            await socket.send_text(json.dumps({"event_id": f"event_{next(self._numbers)}", **event}))

    async def _end(self, call: FakeCall) -> None:
        call.is_over = True
        for socket in list(call.sockets):
            await socket.close(1000)

    def app(self) -> Starlette:
        at = "/v1/realtime/calls"
        return Starlette(
            routes=[
                Route(at, self._place, methods=["POST"]),
                Route(f"{at}/{{call_id}}/{{what}}", self._steer, methods=["POST"]),
                WebSocketRoute("/v1/realtime", self._sideband),
            ]
        )

    def serve(self) -> uvicorn.Server:
        config = uvicorn.Config(
            self.app(), "127.0.0.1", self.port, log_level="error", ws="websockets-sansio", lifespan="off"
        )
        return uvicorn.Server(config)

    async def main(self, server: uvicorn.Server) -> None:
        self._loop = asyncio.get_running_loop()
        await server.serve()


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """Serve for as long as the context lasts."""
    provider = FakeProvider()
    server = provider.serve()
    thread = threading.Thread(target=lambda: asyncio.run(provider.main(server)), daemon=True)
    thread.start()
    eventually(lambda: server.started, "the provider to listen")
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)


def _merged(before: Event, update: Event) -> Event:
    merged = dict(before)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
