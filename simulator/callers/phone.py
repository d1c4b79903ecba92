"""A person with a phone: dials the simulator, speaks, hears what comes back, presses keys and hangs up.

The simulator does the rest: it rings at the webhook, and the receiver accepts the call, or does not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulator.speech.vad import FRAME_BYTES, FRAME_MS


@dataclass
class PhoneCall:
    """A call as its caller knows it: the news, oldest first, and the sound that came, PCM16 mono 24 kHz."""

    news: list[dict[str, Any]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)

    @property
    def call_id(self) -> str | None:
        """The provider's id of the call, once it rings."""
        return next((news["call_id"] for news in self.news if news["type"] == "ringing"), None)

    @property
    def ended_by(self) -> str | None:
        """How it went: ``answered``, ``rejected``, ``referred``, ``ended`` or ``error``, whichever came last."""
        ways = (news["type"] for news in reversed(self.news) if news["type"] not in ("ringing", "webhook"))
        return next(ways, None)


async def call(
    simulator: str,
    webhook: str,
    secret: str,
    *,
    says: bytes = b"",
    keys: str = "",
    headers: Mapping[str, str] | None = None,
    repeat: int = 1,
    until: Callable[[PhoneCall], bool] = lambda call: False,
    longest_s: float = 60.0,
) -> PhoneCall:
    """Call, speak when it is answered, and hang up at the end.

    Args:
        simulator: such as ``ws://127.0.0.1:8765``; it runs with ``--control``.
        webhook: where the call rings.
        secret: of the webhook, ``whsec_…``.
        says: the caller's words, PCM16 mono 24 kHz, sent in real time; silence follows.
        keys: pressed when the words are said.
        headers: of the INVITE, such as ``From``.
        repeat: how often the webhook is told though it was taken.
        until: hang up as soon as this holds of the call.
        longest_s: hang up after so long in any case.
    """
    result = PhoneCall()
    async with connect(f"{simulator}/control/phone", max_queue=None, proxy=None) as socket:
        dial = {"type": "dial", "webhook": webhook, "secret": secret, "headers": dict(headers or {}), "repeat": repeat}
        await socket.send(json.dumps(dial))
        answered = asyncio.Event()
        speaking = asyncio.create_task(_speak(socket, answered, says, keys))
        try:
            async with asyncio.timeout(longest_s):
                async for frame in socket:
                    _take(result, frame, answered)
                    if until(result):
                        break
        except TimeoutError:
            pass
        finally:
            speaking.cancel()
            await asyncio.wait([speaking])
    return result


def _take(call: PhoneCall, frame: str | bytes, answered: asyncio.Event) -> None:
    if isinstance(frame, bytes):
        call.heard += frame
        return
    news = json.loads(frame)
    call.news.append(news)
    if news["type"] == "answered":
        answered.set()


async def _speak(socket: ClientConnection, answered: asyncio.Event, says: bytes, keys: str) -> None:
    """Speak in real time, press the keys, and be silent: a microphone never stops."""
    await answered.wait()
    loop = asyncio.get_running_loop()
    due = loop.time()
    pressed = False
    at = 0
    try:
        while True:
            await socket.send(says[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
            at += FRAME_BYTES
            if at >= len(says) and not pressed:
                pressed = True
                for key in keys:
                    await socket.send(json.dumps({"type": "dtmf", "key": key}))
            due += FRAME_MS / 1000
            await asyncio.sleep(due - loop.time())
    except ConnectionClosed:
        pass
