"""The WebSocket server: accepts or refuses connections, and runs a session for each accepted one."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Literal, cast

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from simulator.calls.call import Call
from simulator.calls.calls import Answering, Calls
from simulator.calls.legs import Leg
from simulator.performer import NO_SPEECH, Speech
from simulator.recorder import Recorder
from simulator.scripting.scenario import Scenario, ScenarioError, load
from simulator.server.callers import Callers, is_for_caller
from simulator.server.connection_rules import HEALTH_PATH, PATHS, SUBPROTOCOL, ConnectionRequest, refusal_body
from simulator.server.control import CONTROL_PATH, Control, ControlledConnection, may_control
from simulator.server.door import Door
from simulator.server.event_socket import EventSocket
from simulator.server.http_api import HttpApi, is_for_api
from simulator.server.http_connection import RETRY_AFTER_S, Front, HttpAnswer, HttpRequest
from simulator.server.sessions import Session, Sideband
from simulator.speech import synthesis
from simulator.speech.ears import BEST, ears

# One append may carry 15 MiB of audio, which is 20 MiB as base64.
MAX_FRAME_BYTES = 24 * 1024 * 1024
# Sessions end quickly once their sockets close; a client that does not answer the close frame is cut off.
_CLOSE_TIMEOUT_S = 2
Media = Literal["webrtc", "none"]
"""How calls are answered: with a media leg, or with an answer that connects nothing."""
NO_MEDIA = (
    "This simulator cannot answer a WebRTC offer: install ringback with the extra `webrtc`, or start the simulator "
    "with --media none, which answers and connects nothing."
)


@dataclass
class Simulator:
    """A Realtime API on a local address.

    ``key``: when set, connections with another one are refused with 401. ``port`` 0 takes a free one.
    ``control``: faults on demand at ``/control``; None: no control API. ``knobs``: set for every scenario.
    """

    scenario: Scenario = field(default_factory=lambda: load("demo"))
    host: str = "127.0.0.1"
    port: int = 0
    key: str | None = None
    record: Path | None = None
    speech: Speech = field(default_factory=lambda: real_speech())
    control: Control | None = None
    knobs: Mapping[str, str] = field(default_factory=dict)
    media: Media = "webrtc"
    calls: Calls = field(default_factory=Calls)
    recorder: Callable[[Path | None], Recorder] = Recorder
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._door = Door(self.scenario, self.key, self.speech, self.control, self.knobs)
        self._callers = Callers(self._door, self.calls, self.speech)

    @property
    def url(self) -> str:
        """The WebSocket address; the port is right once it is serving."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}/v1/realtime"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Simulator]:
        """Serve while the block runs.

        Raises:
            OSError: the address is taken or not on this machine.
        """
        no_media = None
        if self.media == "webrtc":
            self.calls.answering, no_media = webrtc_at(self.host)
        with self.recorder(self.record) as recorder:
            api = HttpApi(self._door, self.calls, self.speech, no_media, _recording(recorder, self._numbers))
            front = Front(is_for_api, api.answer)

            async def talk(connection: ServerConnection) -> None:
                await self._talk(connection, recorder)

            def decide(connection: ServerConnection, request: Request) -> Response | None:
                return self._controlled(connection, request) or self._decide(request, recorder)

            async with serve(
                talk,
                self.host,
                self.port,
                process_request=decide,
                select_subprotocol=_select_subprotocol,
                compression=None,
                max_size=MAX_FRAME_BYTES,
                close_timeout=_CLOSE_TIMEOUT_S,
                server_header=None,
                create_connection=cast(type[ServerConnection], front.connection),
            ) as server:
                self.port = next(iter(server.sockets)).getsockname()[1]
                async with front.serving(), self.calls.holding():
                    yield self

    def _controlled(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request to the control API; return None for all others."""
        path = ConnectionRequest.of(request.path).path
        if self.control is None or not (path == CONTROL_PATH or is_for_caller(path)):
            return None
        if not may_control(connection.remote_address[0], request.headers):
            return _response(HTTPStatus.FORBIDDEN, refusal_body(HTTPStatus.FORBIDDEN), "application/json")
        if is_for_caller(path):
            return None
        status, body = self.control.answer(request.method, request.path)
        return _response(HTTPStatus(status), body, "application/json")

    def _decide(self, request: Request, recorder: Recorder) -> Response | None:
        """Refuse a request, or return None to accept it."""
        wanted = ConnectionRequest.of(request.path)
        if wanted.path == HEALTH_PATH:
            return _response(HTTPStatus.OK, "ok\n", "text/plain")
        refusal = self._refusal(wanted, request.headers)
        if refusal is None:
            return None
        status, message = refusal
        recorder.note(next(self._numbers), "refused", status)
        return _response(HTTPStatus(status), refusal_body(status, message), "application/json")

    def _refusal(self, wanted: ConnectionRequest, headers: Headers) -> tuple[int, str | None] | None:
        if self.control is not None and is_for_caller(wanted.path):
            return self._callers.refusal(wanted.path)
        if wanted.path not in PATHS:
            return 404, f"Unknown path {wanted.path}; the Realtime API is at /v1/realtime."
        refusal = self._door.refusal(wanted, headers)
        if refusal is None and wanted.call_id is not None:
            ordered = self.control.answer_to("sideband") if self.control is not None else None
            if ordered is not None:
                return ordered.status, ordered.message
            if self.calls.joinable(wanted.call_id) is None:
                return 404, None
        return refusal

    async def _talk(self, connection: ServerConnection, recorder: Recorder) -> None:
        assert connection.request is not None  # noqa: S101 - set since the handshake
        wanted = ConnectionRequest.of(connection.request.path)
        if is_for_caller(wanted.path):
            await self._callers.serve(connection, wanted)
            return
        call = self.calls.live.get(wanted.call_id or "")
        if wanted.call_id is not None and call is None:
            return  # it ended meanwhile: so does the connection, in order
        number = next(self._numbers)
        recorder.note(number, "open", connection.request.path)
        socket = EventSocket(connection, number, self._door.drop_watch(wanted), recorder)
        session = Sideband(socket, call) if call else Session(socket, self._door.conversation(wanted), self.speech)
        open_connections: dict[int, ControlledConnection] = self.control.connections if self.control else {}
        open_connections[number] = session
        try:
            await session.run()
        finally:
            del open_connections[number]


def _recording(recorder: Recorder, numbers: Iterator[int]) -> Callable[[HttpRequest], Callable[[HttpAnswer], None]]:
    """Return what records requests to the API beside the WebSocket."""

    def record(request: HttpRequest) -> Callable[[HttpAnswer], None]:
        number = next(numbers)
        body, kind = request.body.decode(errors="replace"), request.headers.get("content-type", "")
        recorder.note(number, "request", {"target": request.target, "content_type": kind, "body": body})

        def answered(answer: HttpAnswer) -> None:
            recorder.note(number, "answer", {"target": request.target, "status": answer.status, "body": answer.body})

        return answered

    return record


def webrtc_at(host: str) -> tuple[Answering | None, str | None]:
    """Return what answers offers at a host, or None and why there is nothing: aiortc is an extra."""
    if importlib.util.find_spec("aiortc") is None:
        return None, NO_MEDIA

    async def answer(offer: str, call: Call) -> tuple[str, Leg]:
        return await (await asyncio.to_thread(_webrtc, host))(offer, call)

    return answer, None


def _webrtc(host: str) -> Answering:
    """Import aiortc once there is an offer: it takes as long as the rest of a start."""
    from simulator.calls import webrtc

    return webrtc.Answering(host)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def _response(status: HTTPStatus, body: str, content_type: str) -> Response:
    encoded = body.encode()
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(encoded)), "Connection": "close"})
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = RETRY_AFTER_S
    return Response(status.value, status.phrase, headers, encoded)


def real_speech(hears_with: str = BEST) -> Speech:
    """Return the voice, and the ears of that name.

    Raises:
        EarsError: they are not installed.
    """
    return Speech(ears(hears_with), synthesis.speak)


async def serve_until_told(simulator: Simulator) -> None:
    """Serve until SIGINT or SIGTERM; print the address and what hears and speaks to standard output."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with simulator.serving():
        print(f"simulator ready on {simulator.url}\n{simulator.speech.told()}", flush=True)  # noqa: T201
        # The models load while the first caller is greeted; a daemon, so that a signal need not wait for them.
        threading.Thread(target=simulator.speech.ears.warm_up, name="warm-up", daemon=True).start()
        await told.wait()


__all__ = ["NO_SPEECH", "Control", "ScenarioError", "Simulator", "Speech", "real_speech", "serve_until_told"]
