"""Twilio's side of a call, by the simulator's media stream: it asks what to do, brings audio, and plays what it hears.

It plays when the test says so, and then returns the marks. The simulator's own caller keeps the time, as no test may.
"""

from __future__ import annotations

import asyncio
import base64
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

from simulator.callers.media_stream import BYTES_PER_MS, MediaStream
from simulator.callers.twilio import signature
from tests.caller import PATIENCE
from tests.guarantees.toolbox.phone_agents import NUMBER
from tests.local_http import LOCAL

Event = dict[str, Any]
AUTH_TOKEN = "0123456789abcdef-of-twilio"
PUBLIC_URL = "https://voice.example.test"
ACCOUNT = "AC1"
VOICE, MEDIA = "/twilio/voice", "/twilio/media"
CALLER = "+4930222"
FRAME_MS = 20
QUIET, LOUD = (bytes([byte]) * FRAME_MS * BYTES_PER_MS for byte in (0xFF, 0x31))
_numbers = count(1)


def asks(url: str, call_sid: str, *, query: str = "", method: str = "POST", **form: str) -> httpx.Response:
    """Twilio's request about a call to a gateway, signed for its public URL. `To` and others may be given."""
    said = {"CallSid": call_sid, "From": CALLER, "To": NUMBER, "AccountSid": ACCOUNT, **form}
    if method == "GET":
        query = "&".join(each for each in (query, urlencode(said)) if each)
    signed = PUBLIC_URL + VOICE + (f"?{query}" if query else "")
    given = signature(AUTH_TOKEN, signed, said if method == "POST" else {})
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
    """One call. `frames` is all that the gateway has sent."""

    socket: ClientConnection
    call_sid: str
    frames: list[Event] = field(default_factory=list)
    stream: MediaStream = field(default_factory=MediaStream)

    async def begin(self, token: str) -> None:
        for frame in self.stream.begin(self.call_sid, ACCOUNT, {"token": token}):
            await self.socket.send(frame)

    async def _sound(self, ms: int, ulaw: bytes) -> None:
        for _ in range(ms // FRAME_MS):
            await self.socket.send(self.stream.says(ulaw))

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
        await self.socket.send(self.stream.presses(digit))

    async def hears(self, until: Callable[[Event], bool], what: str) -> Event:
        """Take what the gateway sends until there is such a frame, with the line open and silent meanwhile."""
        for known in self.frames:
            if until(known):
                return known
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with asyncio.timeout(FRAME_MS / 1_000):
                        frame = self._take(await self.socket.recv())
                except TimeoutError:
                    await self.is_silent()
                    continue
                except ConnectionClosed as gone:
                    raise AssertionError(f"hung up on ({gone}) before {what}") from None
                if until(frame):
                    return frame

    def _take(self, text: str | bytes) -> Event:
        frame = self.stream.take(text)
        assert frame["streamSid"] == self.stream.sid
        self.frames.append(frame)
        return frame

    async def plays(self, ms: float | None = None) -> float:
        """Play what is queued, or so much of it, and return the marks behind it; returns what was played, in ms."""
        sound, marks = self.stream.play(ms)
        self.stream.clock_ms += len(sound) // BYTES_PER_MS
        for mark in marks:
            await self.socket.send(mark)
        return len(sound) / BYTES_PER_MS

    async def clears(self) -> None:
        """Do as `clear` says: forget what is queued, and return its marks at once."""
        for mark in self.stream.clear():
            await self.socket.send(mark)

    async def is_hung_up_on(self) -> None:
        """Wait until the gateway ends the stream, with all that it has sent taken, and played."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    try:
                        async with asyncio.timeout(FRAME_MS / 1_000):
                            self._take(await self.socket.recv())
                    except TimeoutError:
                        await self.plays()
                        await self.is_silent()
            except ConnectionClosed:
                return

    async def hangs_up(self) -> None:
        await self.socket.send(self.stream.stops(self.call_sid, ACCOUNT))
        await self.socket.close()

    @property
    def sounded_ms(self) -> float:
        media = [frame["media"]["payload"] for frame in self.frames if frame["event"] == "media"]
        return sum(len(base64.b64decode(each)) for each in media) / BYTES_PER_MS


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
