"""Twilio, as far as a call of Media Streams needs it: it asks what to do, brings the audio, and plays what it is sent.

It plays when the test says so, and then returns the marks; it keeps no time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.telephony.twilio.signature import signature
from tests.caller import PATIENCE
from tests.guarantees.toolbox.phone_agents import NUMBER
from tests.local_http import LOCAL

Event = dict[str, Any]
AUTH_TOKEN = "0123456789abcdef-of-twilio"
PUBLIC_URL = "https://voice.example.test"
VOICE, MEDIA = "/twilio/voice", "/twilio/media"
CALLER = "+4930222"
FRAME_MS = 20
QUIET, LOUD = (base64.b64encode(bytes([byte]) * FRAME_MS * 8).decode() for byte in (0xFF, 0x31))
_numbers = count(1)


def asks(url: str, call_sid: str, *, query: str = "", method: str = "POST", **form: str) -> httpx.Response:
    """Twilio's request about a call to a gateway, signed for its public URL. `To` and others may be given."""
    said = {"CallSid": call_sid, "From": CALLER, "To": NUMBER, "AccountSid": "AC1", **form}
    if method == "GET":
        query = "&".join(each for each in (query, urlencode(said)) if each)
    signed = PUBLIC_URL + VOICE + (f"?{query}" if query else "")
    given = signature(AUTH_TOKEN, signed, said.items() if method == "POST" else ())
    headers = {"X-Twilio-Signature": given, "Content-Type": "application/x-www-form-urlencoded"}
    content = urlencode(said) if method == "POST" else ""
    return LOCAL.request(method, f"{url}{VOICE}" + (f"?{query}" if query else ""), content=content, headers=headers)


def token_in(twiml: str) -> str:
    """The token that the stream is to present."""
    parameter = ElementTree.fromstring(twiml).find("Connect/Stream/Parameter")  # noqa: S314 — our own
    assert parameter is not None, twiml
    return parameter.attrib["value"]


def new_sid() -> str:
    return f"CA{next(_numbers):032d}"


@dataclass
class Phone:
    """One call. `frames` is all that the gateway has sent; `queued` what Twilio has yet to play."""

    socket: ClientConnection
    call_sid: str
    frames: list[Event] = field(default_factory=list)
    queued: list[Event] = field(default_factory=list)
    clock_ms: int = 0

    async def begin(self, token: str) -> None:
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start: Event = {"streamSid": "MZ1", "callSid": self.call_sid, "accountSid": "AC1", "tracks": ["inbound"]}
        start |= {"customParameters": {"token": token}, "mediaFormat": {"encoding": "audio/x-mulaw"}}
        await self.send({"event": "start", "start": start})

    async def send(self, frame: Event) -> None:
        await self.socket.send(json.dumps({"streamSid": "MZ1", **frame}))

    async def _sound(self, ms: int, payload: str) -> None:
        for _ in range(ms // FRAME_MS):
            self.clock_ms += FRAME_MS
            media = {"track": "inbound", "timestamp": str(self.clock_ms), "payload": payload}
            await self.send({"event": "media", "media": media})

    async def is_silent(self, ms: int = FRAME_MS) -> None:
        await self._sound(ms, QUIET)

    async def speaks(self, ms: int = 300) -> None:
        """The caller speaks, and then waits for an answer."""
        await self._sound(ms, LOUD)
        await self._sound(800, QUIET)

    async def interrupts(self) -> None:
        """The caller begins to speak, and goes on."""
        await self._sound(100, LOUD)

    async def presses(self, digit: str) -> None:
        await self.send({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}})

    async def hears(self, until: Callable[[Event], bool], what: str) -> Event:
        """Take what the gateway sends until there is such a frame, with the line open and silent meanwhile."""
        for known in self.frames:
            if until(known):
                return known
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with asyncio.timeout(FRAME_MS / 1_000):
                        frame: Event = json.loads(await self.socket.recv())
                except TimeoutError:
                    await self.is_silent()
                    continue
                except ConnectionClosed as gone:
                    raise AssertionError(f"hung up on ({gone}) before {what}") from None
                self._take(frame)
                if until(frame):
                    return frame

    def _take(self, frame: Event) -> None:
        assert frame["streamSid"] == "MZ1"
        self.frames.append(frame)
        if frame["event"] != "clear":
            self.queued.append(frame)

    async def plays(self, ms: float | None = None) -> float:
        """Play what is queued, or so much of it, and return the marks behind it; returns what was played."""
        played, until = 0.0, float("inf") if ms is None else ms
        while self.queued and played < until:
            frame = self.queued.pop(0)
            if frame["event"] == "media":
                length = len(base64.b64decode(frame["media"]["payload"])) / 8
                played += length
                self.clock_ms += round(length)
            else:
                await self.send({"event": "mark", "mark": frame["mark"]})
        return played

    async def clears(self) -> None:
        """Do as `clear` says: forget what is queued, and return its marks at once."""
        marks, self.queued = [frame for frame in self.queued if frame["event"] == "mark"], []
        for frame in marks:
            await self.send({"event": "mark", "mark": frame["mark"]})

    async def is_hung_up_on(self) -> None:
        """Wait until the gateway ends the stream, with all that it has sent taken, and played."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    try:
                        async with asyncio.timeout(FRAME_MS / 1_000):
                            self._take(json.loads(await self.socket.recv()))
                    except TimeoutError:
                        await self.plays()
                        await self.is_silent()
            except ConnectionClosed:
                return

    async def hangs_up(self) -> None:
        await self.send({"event": "stop", "stop": {"callSid": self.call_sid, "accountSid": "AC1"}})
        await self.socket.close()

    @property
    def sounded_ms(self) -> float:
        media = [frame["media"]["payload"] for frame in self.frames if frame["event"] == "media"]
        return sum(len(base64.b64decode(each)) for each in media) / 8


@asynccontextmanager
async def streaming(url: str, call_sid: str, token: str) -> AsyncIterator[Phone]:
    """A stream of a call to this gateway, whose TwiML gave this token."""
    async with connect(f"{url.replace('http', 'ws', 1)}{MEDIA}", max_size=None, max_queue=None) as socket:
        phone = Phone(socket, call_sid)
        await phone.begin(token)
        yield phone


@asynccontextmanager
async def calling(url: str, call_sid: str = "", **form: str) -> AsyncIterator[Phone]:
    """A call, from the first request on."""
    call_sid = call_sid or new_sid()
    answer = await asyncio.to_thread(lambda: asks(url, call_sid, **form))
    assert answer.status_code == 200, answer.text
    async with streaming(url, call_sid, token_in(answer.text)) as phone:
        yield phone


@dataclass
class Rest:
    """Twilio's REST API: what it was asked, and with which status it answers."""

    url: str = ""
    status: int = 200
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, `Authorization` and TwiML."""


@contextmanager
def rest() -> Iterator[Rest]:
    api = Rest()

    class Asked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            api.asked.append((self.path, self.headers["Authorization"], parse_qs(body)["Twiml"][0]))
            self.send_response(api.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Asked)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
