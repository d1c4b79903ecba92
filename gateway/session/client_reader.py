"""What a client sends, on its way to the brain: decoded by its policy, held to a pace, and kept while nobody hears it.

A frame that is refused goes no further, and the client is told by which rule, once it has its `session.created`. A
client that is told so too often, or that does not keep its pace for long, is hung up on. What is left out of a frame is
no refusal: the log tells of it, and a client hears of it that asks to (`?ringback=left_out`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Container

from gateway import protocol
from gateway.conversation.actions import Event
from gateway.session.client_connection import ClientConnection
from gateway.session.context import SessionEnded
from gateway.session.rate_limit import RateExceeded, RateLimiter
from ringback.agents.client_policy import ClientPolicy

log = logging.getLogger(__name__)

HELD_CHARS = 4 * 1024 * 1024
"""Of a client's frames while no conversation is open: a minute of audio. Beyond it the client's own buffer fills."""
FRAME_CHARS = 64
"""What each frame counts for beside its own length: many tiny ones have a bound as well."""
TOLD_CHARS = 1_024
"""What each thing counts for that the client is to be told later."""
MINUTE = 60.0
MAX_LOGGED = 16
"""Frames of one client of which the log tells what was left out: SDKs send the same ones again and again."""

Hear = Callable[[protocol.ClientFrame], Awaitable[None]]
Tell = Callable[[Event], Awaitable[None]]


class ClientReader:
    """The client's way in.

    Args:
        hear: hands a frame that passed to the brain.
        tell: writes an event to the client.
        session: as the agent's file has it, with what the client has set of it before.
        name: the session's, for the log.
        asks: what the client asked for beside the Realtime API.
    """

    def __init__(
        self,
        client: ClientConnection,
        allowed: ClientPolicy,
        hear: Hear,
        tell: Tell,
        session: Event,
        *,
        name: str = "",
        asks: Container[str] = (),
    ) -> None:
        self._client = client
        self._name = name
        self._tells_left_out = "left_out" in asks
        self._logged: set[tuple[str, ...]] = set()
        self._allowed = allowed
        self._hear = hear
        self._tell = tell
        self._pace = RateLimiter(allowed, time.monotonic())
        self.heard_as = self._pace.heard_as
        self.heard_as(session)
        self._refused: deque[float] = deque()
        self._held: deque[tuple[protocol.ClientFrame | Event, int]] = deque()
        """The client's frames, and between them what it is told of those that do not pass."""
        self._held_chars = 0
        self.is_open = asyncio.Event()
        """Set while there is a conversation to take what is said."""

    def hold(self) -> None:
        """From now on nothing of the client's is passed on."""
        self.is_open.clear()

    async def let_go(self) -> None:
        """There is a conversation: what was held is passed on to it, and then what comes."""
        while self._held:
            frame, chars = self._held.popleft()
            self._held_chars -= chars
            await (self._hear(frame) if isinstance(frame, protocol.ClientFrame) else self._tell(frame))
        self.is_open.set()

    async def run(self) -> None:
        """Until the client goes (ClientGone), or has to (Over)."""
        while True:
            frame = await self._client.receive()
            said = protocol.read(frame, self._allowed)
            if isinstance(said, protocol.Rejection):
                await self._refuse(said)
                await self._keep_pace(0, len(frame))
                continue
            if said.left_out:
                await self._leave_out(said)
            await self._pass_on(said, len(frame) + FRAME_CHARS)
            await self._keep_pace(said.audio_bytes, len(frame) - _in_base64(said.audio_bytes))

    async def _pass_on(self, frame: protocol.ClientFrame | Event, chars: int) -> None:
        """To the brain, or to the client itself: an `error` before its `session.created` is the end for many."""
        if self.is_open.is_set():
            await (self._hear(frame) if isinstance(frame, protocol.ClientFrame) else self._tell(frame))
            return
        self._held.append((frame, chars))
        self._held_chars += chars
        if self._held_chars > HELD_CHARS:
            await self.is_open.wait()

    async def _keep_pace(self, audio_bytes: int, chars: int) -> None:
        pause = self._pace.took(audio_bytes, time.monotonic(), max(0, chars))
        if isinstance(pause, RateExceeded):
            raise SessionEnded.because("too_fast")
        if pause:  # its own connection holds it back meanwhile
            await asyncio.sleep(pause)

    async def _leave_out(self, frame: protocol.ClientFrame) -> None:
        if frame.left_out not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(frame.left_out)
            names = ", ".join(frame.left_out)
            log.info("session %s: %s is left out of what the client sent: not its own to set", self._name, names)
        if self._tells_left_out:
            told = protocol.left_out_event(frame.left_out, frame.event.get("event_id"))
            await self._pass_on(told, TOLD_CHARS)

    async def _refuse(self, refusal: protocol.Rejection) -> None:
        await self._pass_on(refusal.as_event("rb_refused"), TOLD_CHARS)
        now = time.monotonic()
        self._refused.append(now)
        while self._refused[0] < now - MINUTE:
            self._refused.popleft()
        if len(self._refused) > self._allowed.refusals_per_minute:
            raise SessionEnded.because("too_many_refusals")


def _in_base64(audio_bytes: int) -> int:
    """What so much audio takes up in a frame, at least."""
    return audio_bytes * 4 // 3
