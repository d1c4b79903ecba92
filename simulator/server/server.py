"""The WebSocket server: accepts or refuses connections, and runs a session for each accepted one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from simulator.behavior import KnobError
from simulator.conversation import Conversation
from simulator.faults import DropWatch, FaultCounts
from simulator.scripting.scenario import Scenario, ScenarioError, load, shipped
from simulator.server.connection_rules import HEALTH_PATH, PATHS, SUBPROTOCOL, ConnectionRequest, key_of, refusal_body
from simulator.server.control import CONTROL_PATH, Control, may_control
from simulator.server.recorder import Recorder
from simulator.server.session import NO_SPEECH, Session, Speech
from simulator.speech import synthesis
from simulator.speech.ears import BEST, ears

# One append may carry 15 MiB of audio, which is 20 MiB as base64.
MAX_FRAME_BYTES = 24 * 1024 * 1024
# Sessions end quickly once their sockets close; a client that does not answer the close frame is cut off.
_CLOSE_TIMEOUT_S = 2
_RETRY_AFTER_S = "1"
_DEFAULT_MODEL = "gpt-realtime"


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
    _counts: FaultCounts = field(default_factory=FaultCounts)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _accepted: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

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
        with Recorder(self.record) as recorder:

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
            ) as server:
                self.port = next(iter(server.sockets)).getsockname()[1]
                yield self

    def _controlled(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request to the control API; return None for all others."""
        if self.control is None or ConnectionRequest.of(request.path).path != CONTROL_PATH:
            return None
        if not may_control(connection.remote_address[0], request.headers):
            return _response(HTTPStatus.FORBIDDEN, refusal_body(HTTPStatus.FORBIDDEN), "application/json")
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
        if wanted.path not in PATHS:
            return 404, f"Unknown path {wanted.path}; the Realtime API is at /v1/realtime."
        if self.key is not None and key_of(headers) != self.key:
            return 401, None
        if wanted.scenario is not None and wanted.scenario not in shipped():
            return 400, f"There is no scenario {wanted.scenario!r}; there are {', '.join(shipped())}."
        try:
            scenario = self._scenario_of(wanted)
        except KnobError as problem:
            return 400, f"The URL sets an invalid knob: {problem}"
        refused = self._counts.refusal(scenario.name, scenario.knobs)
        if refused is None and self.control is not None:
            refused = self.control.refusal()
        if refused is not None:
            return refused.status, None
        return (404, None) if wanted.call_id is not None else None

    def _scenario_of(self, wanted: ConnectionRequest) -> Scenario:
        """Return the scenario of a connection; the knobs of its URL override those of the control API."""
        scenario = load(wanted.scenario) if wanted.scenario else self.scenario
        scenario = scenario.turned(self.knobs)
        return (self.control.turned(scenario) if self.control else scenario).turned(wanted.knobs)

    async def _talk(self, connection: ServerConnection, recorder: Recorder) -> None:
        assert connection.request is not None  # noqa: S101 - set since the handshake
        wanted = ConnectionRequest.of(connection.request.path)
        scenario = self._scenario_of(wanted)
        knobs = scenario.knobs.at_connection(next(self._accepted))
        scenario = scenario.model_copy(update={"knobs": knobs})
        number = next(self._numbers)
        recorder.note(number, "open", connection.request.path)
        judge = self.speech.ears.judge and self.speech.ears.judge()
        conversation = Conversation(scenario, wanted.model or _DEFAULT_MODEL, judge)
        drop_watch = DropWatch(scenario.name, scenario.knobs.drop, self._counts)
        session = Session(connection, number, conversation, self.speech, drop_watch, recorder)
        open_connections = self.control.connections if self.control else {}
        open_connections[number] = session
        try:
            await session.run()
        finally:
            del open_connections[number]


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def _response(status: HTTPStatus, body: str, content_type: str) -> Response:
    encoded = body.encode()
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(encoded)), "Connection": "close"})
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = _RETRY_AFTER_S
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
