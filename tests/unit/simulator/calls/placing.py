"""What tests of calls share: an offer, a call placed over HTTP, and sidebands that note what they see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from simulator.scripting.scenario import parse
from simulator.server.server import NO_SPEECH, Control, Simulator

# Far above what a conversation takes; it only ends a test that would wait for ever.
PATIENCE_S = 20
OFFER = "\r\n".join(
    (
        *("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0 1"),
        *("m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "a=mid:0", "a=rtpmap:111 opus/48000/2"),
        *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:1", "a=sctp-port:5000", ""),
    )
)
SDP = {"content-type": "application/sdp"}


def quiet(**options: Any) -> Simulator:
    """A simulator without media and speech, with the control API; its scenario answers everything alike."""
    scenario = parse(options.pop("scenario", "like: demo"), "test", "test.yaml")
    return Simulator(scenario, speech=NO_SPEECH, control=Control(), media="none", **options)


def against(simulator: Simulator, visit: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]) -> None:
    """Run a visit while the simulator serves; its client knows the simulator's address."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), simulator.serving():
            base = f"http://127.0.0.1:{simulator.port}"
            async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S) as client:
                await visit(client)

    asyncio.run(run())


async def place(client: httpx.AsyncClient, query: str = "", **headers: str) -> str:
    """Place a call, and return its id."""
    answer = await client.post(f"/v1/realtime/calls{query}", content=OFFER, headers={**SDP, **headers})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rpartition("/")[2]


class Party:
    """One WebSocket of a call, and all events that it was shown."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        self.sound = bytearray()

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.seen]

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def ask(self, words: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def until(self, kind: str) -> dict[str, Any]:
        """Read until an event of that type comes; sound is kept apart."""
        while True:
            frame = await self.socket.recv()
            if isinstance(frame, bytes):
                self.sound += frame
                continue
            event: dict[str, Any] = json.loads(frame)
            self.seen.append(event)
            if event["type"] == kind:
                return event


@asynccontextmanager
async def beside(simulator: Simulator, call_id: str) -> AsyncIterator[Party]:
    """A sideband of a call."""
    async with connect(f"{simulator.url}?call_id={call_id}", max_queue=None) as socket:
        yield Party(socket)


@asynccontextmanager
async def browser(simulator: Simulator, call_id: str) -> AsyncIterator[Party]:
    """What stands in for the caller's browser, greeted."""
    async with connect(f"ws://127.0.0.1:{simulator.port}/control/calls/{call_id}", max_queue=None) as socket:
        party = Party(socket)
        await party.until("session.created")
        yield party
