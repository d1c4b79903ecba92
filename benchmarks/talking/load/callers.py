"""The callers of the load: each sends 20 ms of audio 50 times a second, and counts what it hears."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import uvloop
from picows import WSFrame, WSInvalidStatusError, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.talking.load.orders import STAMP_DIGITS, Pacer, Stamps, obey

FRAME_SECONDS = 0.02
FRAME_BYTES = 960
"""20 ms of PCM16 at 24 kHz: 1,280 letters of base64."""
AT_ONCE = 8
"""Connections that are opened at the same time."""
PATIENCE = 60.0
NO_ROOM, COME_BACK_SECONDS = 503, 0.5
TYPE_ENDS = 200
"""The type of an event stands within so many bytes."""
SOUND = base64.b64encode(random.Random(1).randbytes(FRAME_BYTES))[STAMP_DIGITS:]


class Caller(WSListener):
    """One session, from outside."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self.transport: Any = None
        self.greeted = asyncio.Event()
        self.is_leaving = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        if payload.find(b"response.output_audio.delta", 0, TYPE_ENDS) >= 0:
            self._party.heard += 1
            self._party.stamps.note(payload, b'"delta":')
        elif payload.find(b"response.output_audio_transcript.delta", 0, TYPE_ENDS) >= 0:
            self._party.words += 1
        elif payload.find(b"session.created", 0, TYPE_ENDS) >= 0:
            self.greeted.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._party.ended += not self.is_leaving

    def speak(self) -> None:
        stamp = Stamps.now()
        self.transport.send(WSMsgType.TEXT, b'{"type":"input_audio_buffer.append","audio":"' + stamp + SOUND + b'"}')
        self._party.sent += 1


class Party:
    """All callers, and what they have sent and heard in all."""

    def __init__(self) -> None:
        self.sent = self.heard = self.words = self.ended = self.turned_away = 0
        self.stamps = Stamps()
        self._callers: list[Caller] = []
        self._pacer = Pacer(FRAME_SECONDS)

    async def open(self, number: int, url: str, headers: dict[str, str]) -> dict[str, Any]:
        """Open more sessions; each has been greeted by the model when this returns."""
        door = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with door, asyncio.timeout(PATIENCE):
                caller = Caller(self)
                await self._connect(caller, url, headers)
                await caller.greeted.wait()
                self._callers.append(caller)

        await asyncio.gather(*(one() for _ in range(number)))
        return await self.report()

    async def _connect(self, caller: Caller, url: str, headers: dict[str, str]) -> None:
        """Connect; where a relay has no room at the moment, come back as any client would."""
        while True:
            try:
                await ws_connect(lambda: caller, url, extra_headers=headers, websocket_handshake_timeout=PATIENCE)
            except WSInvalidStatusError as refused:
                if refused.response is None or int(refused.response.status) != NO_ROOM:
                    raise
                self.turned_away += 1
                await asyncio.sleep(COME_BACK_SECONDS)
            else:
                return

    async def talk(self, number: int, first: int = 0) -> dict[str, Any]:
        """Have so many of them speak, from this one on."""
        await self._pacer.start(self._callers[first : first + number], Caller.speak)
        return {}

    async def hush(self) -> dict[str, Any]:
        await self._pacer.stop()
        return await self.report()

    async def leave(self) -> dict[str, Any]:
        """End all sessions."""
        told = await self.report()
        for caller in self._callers:
            caller.is_leaving = True
            caller.transport.disconnect()
        self._callers.clear()
        return told

    async def mark(self) -> dict[str, Any]:
        self.stamps.mark()
        return await self.report()

    async def report(self) -> dict[str, Any]:
        counts = {"sent": self.sent, "heard": self.heard, "words": self.words, "ended": self.ended}
        counts["turned_away"] = self.turned_away
        return {**counts, "open": len(self._callers), **self.stamps.quantiles()}


async def main() -> None:
    party = Party()
    orders = (party.open, party.talk, party.hush, party.leave, party.mark, party.report)
    await obey({order.__name__: order for order in orders})


if __name__ == "__main__":
    uvloop.run(main())
