"""A Realtime API that takes calls and answers at once: the far side of every measured call.

It has no voice. A sideband is told what came of each event, the page's among them, as OpenAI's servers do it: no
`session.created`, and no audio. What reaches it is counted here.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.beside.talk import PIECE_SECONDS, PIECES, Event, new, pieces
from cli.local_stack.process_group import free_port

T = TypeVar("T")
CALLS_AT = "/v1/realtime/calls"
SDP = "application/sdp"
MEDIA = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendrecv\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
OFFER = f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{MEDIA}a=setup:actpass\r\n"
PATIENCE = 60.0
APART = 7
"""By how many pieces of a transcript the first turn of a call is shorter than that of the call before."""
OVER = 1000
"""Close code of a sideband whose call is over."""


def answer_of(call_id: str) -> str:
    """Return the SDP answer to this call, which no other call gets."""
    return f"v=0\r\no=- 2 2 IN IP4 0.0.0.0\r\ns={call_id}\r\nt=0 0\r\n{MEDIA}a=setup:active\r\n"


@dataclass(eq=False)
class Call:
    """One call: its session, its items, and what its sideband is waited for."""

    call_id: str
    session: Event
    items: dict[str, Event] = field(default_factory=dict)
    sideband: WebSocket | None = None
    configured: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the sideband has sent its first `session.update`."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    awaited: Callable[[Event], bool] = lambda _: False
    came_at: float = 0.0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when what the sideband was awaited to send has come, and is done."""


class Provider:
    """The server, in a thread of its own; `calls` holds the calls by their ids."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: dict[str, Call] = {}
        self.told = 0
        """Events that sidebands were sent."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._talk: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Run this in the server's thread; raises what it raises, and TimeoutError."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(_patiently(doing), self._loop).result()

    # — as the caller, the model, and the page —

    async def attended(self, calls: list[Call]) -> None:
        """Wait until a gateway is beside each call."""
        for call in calls:
            await call.configured.wait()

    async def hang_up(self, calls: list[Call]) -> None:
        """Have the callers hang up."""
        for call in calls:
            await self._end(call)

    async def talk(self, calls: list[Call]) -> None:
        """Have the model speak in each call from now on, until `hush`."""
        self._talk = asyncio.create_task(self._speak(calls))

    async def hush(self) -> None:
        """End all talk; raises what it died of."""
        assert self._talk is not None
        self._talk.cancel()
        await asyncio.wait([self._talk])
        if not self._talk.cancelled():
            self._talk.result()

    async def page_sends(self, call: Call, event: Event, undoes: Callable[[Event], bool] | None) -> float:
        """Have the page of the call send an event; return milliseconds from its echo until it is undone.

        Args:
            undoes: what the gateway's event must be; None: the call must be hung up.
        """
        call.awaited, call.came = undoes or call.awaited, asyncio.Event()
        began = time.perf_counter()
        await self._apply(call, event)
        await (call.hung_up if undoes is None else call.came).wait()
        return (call.came_at - began) * 1_000

    async def _speak(self, calls: list[Call]) -> None:
        parts = [(call, pieces(number * APART % PIECES)) for number, call in enumerate(calls, 1)]
        step, began, number = PIECE_SECONDS / len(parts), time.monotonic(), 0
        while True:
            call, part = parts[number % len(parts)]
            await self._tell(call, *next(part))
            number += 1
            await asyncio.sleep(max(0.0, began + number * step - time.monotonic()))

    # — as the server —

    async def _place(self, request: Request) -> Response:
        body = await request.body()
        form = request.headers["content-type"].startswith("multipart/form-data")
        session = json.loads(body.split(b"application/json\r\n\r\n")[1].split(b"\r\n--")[0]) if form else {}
        call = Call(new("rtc"), {**session, "id": new("sess"), "object": "realtime.session"})
        self.calls[call.call_id] = call
        return Response(answer_of(call.call_id), 201, {"location": f"{CALLS_AT}/{call.call_id}"}, SDP)

    async def _hang_up(self, request: Request) -> Response:
        call = self.calls.get(request.path_params["call_id"])
        if call is None or call.over.is_set():
            return JSONResponse({"error": {"code": "call_id_not_found"}}, 404)
        call.came_at = time.perf_counter()
        call.hung_up.set()
        await self._end(call)
        return Response(status_code=200)

    async def _sideband(self, socket: WebSocket) -> None:
        call = self.calls.get(socket.query_params.get("call_id", ""))
        if call is None or call.over.is_set():
            await socket.send_denial_response(JSONResponse({"error": {"code": "call_id_not_found"}}, 404))
            return
        await socket.accept()
        call.sideband = socket
        try:
            while True:
                event = json.loads(await socket.receive_text())
                if is_awaited := call.awaited(event):
                    call.came_at = time.perf_counter()
                await self._apply(call, event)
                if is_awaited:
                    call.came.set()
                if event["type"] == "session.update":
                    call.configured.set()
        except WebSocketDisconnect:
            call.sideband = None

    async def _apply(self, call: Call, event: Event) -> None:
        """Do what an event of the page or of the sideband asks for, and tell the sideband."""
        match event["type"]:
            case "session.update":
                call.session = merged(call.session, event["session"])
                await self._tell(call, {"type": "session.updated", "session": call.session})
            case "conversation.item.create":
                item = {"id": new("item"), **event["item"]}
                call.items[item["id"]] = item
                for kind in ("added", "done"):
                    await self._tell(call, {"type": f"conversation.item.{kind}", "item": item})
            case "conversation.item.delete":
                del call.items[event["item_id"]]
                await self._tell(call, {"type": "conversation.item.deleted", "item_id": event["item_id"]})
            case "response.create":
                asked = event.get("response") or {}
                conversation = None if asked.get("conversation") == "none" else "conv_1"
                response = {"id": new("resp"), "conversation_id": conversation, "metadata": asked.get("metadata")}
                said: Event = {**response, "status": "in_progress", "output": []}
                await self._tell(call, {"type": "response.created", "response": said})
            case "response.cancel":
                response = {"id": event["response_id"], "status": "cancelled", "output": []}
                await self._tell(call, {"type": "response.done", "response": response})

    async def _tell(self, call: Call, *events: Event) -> None:
        if call.sideband is None:
            return
        for event in events:
            self.told += 1
            named = {"type": event["type"], "event_id": new("event"), **event}  # in the order of the recordings
            await call.sideband.send_text(json.dumps(named, separators=(",", ":")))

    async def _end(self, call: Call) -> None:
        call.over.set()
        if call.sideband is not None:
            await call.sideband.close(OVER)

    async def main(self, server: uvicorn.Server) -> None:
        self._loop = asyncio.get_running_loop()
        await server.serve()

    def server(self) -> uvicorn.Server:
        routes = [
            Route(CALLS_AT, self._place, methods=["POST"]),
            Route(f"{CALLS_AT}/{{call_id}}/hangup", self._hang_up, methods=["POST"]),
            WebSocketRoute("/v1/realtime", self._sideband),
        ]
        quiet = {"log_level": "critical", "lifespan": "off", "ws": "websockets-sansio"}
        return uvicorn.Server(uvicorn.Config(Starlette(routes=routes), "127.0.0.1", self.port, **quiet))  # type: ignore[arg-type]


async def _patiently(doing: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await doing


@contextmanager
def serving() -> Iterator[Provider]:
    """Serve while the context lasts."""
    provider = Provider()
    server = provider.server()
    thread = threading.Thread(target=lambda: asyncio.run(provider.main(server)), name="provider", daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)


def merged(before: Event, update: Event) -> Event:
    """Return the session with the update in it, field by field."""
    both = dict(before)
    for key, value in update.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both
