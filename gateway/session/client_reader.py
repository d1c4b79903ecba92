"""Reads a client: decodes each frame by its policy, holds it to a pace, and keeps it while no conversation is open.

If a frame is refused, it goes no further, and the client is told by which rule once it has its `session.created`. A
client that is refused too often, or that is too fast for too long, is disconnected. A field that is left out of a frame
is no refusal: the log says so, and so does an event for a client that asks for it (`?ringback=left_out`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from gateway import protocol
from gateway.conversation.actions import Event
from gateway.conversation.client_session import merged
from gateway.session.client_connection import ClientConnection
from gateway.session.context import SessionEnded, SessionState, UpstreamLink
from gateway.session.rate_limit import RateExceeded, RateLimiter
from gateway.small_event import SmallEvent
from ringback.telemetry.metrics import TO_MODEL

log = logging.getLogger(__name__)

HELD_CHARS = 4 * 1024 * 1024
"""Of a client's frames while no conversation is open: a minute of audio. Beyond it the client's buffer fills."""
FRAME_CHARS = 64
"""What each frame counts for beside its length, so that many tiny frames have a bound too."""
TOLD_CHARS = 1_024
"""What each event counts for that the client is to be told later."""
MINUTE = 60.0
MAX_LOGGED = 16
"""Frames of one client of which the log says what was left out: SDKs send the same ones again and again."""

Hear: TypeAlias = Callable[[protocol.ClientFrame], Awaitable[None]]
"""Hands a decoded frame to the conversation."""


class ClientReader:
    """Reader of one client, for as long as its session lasts."""

    def __init__(self, client: ClientConnection, session: SessionState, hear: Hear) -> None:
        self._client = client
        self._session = session
        self._tells_left_out = "left_out" in session.asks
        self._policy, self._events = session.policy, session.policy.events
        self._hear = hear
        self._limiter = RateLimiter(self._policy)
        self._recording = session.recording
        self.heard_as(merged(session.agent.session([]), session.client_session))
        self._logged: set[tuple[str, ...]] = set()
        self._refused_at: list[float] = []
        self._held: list[tuple[protocol.ClientFrame | Event, int]] = []
        """The client's frames, and between them the events that tell it of those that were refused."""
        self._held_chars = 0
        self._link: UpstreamLink | None = None
        """Takes audio at once; None while no conversation is open."""
        self.is_open = SmallEvent()
        """Set while a conversation takes what the client says."""

    def heard_as(self, session: Event) -> None:
        """Note the audio formats of a `session` that is in force."""
        self._limiter.heard_as(session)
        if self._recording is not None:
            self._recording.heard_as(session)

    def pause(self) -> None:
        """From now on, keep the client's frames."""
        self._link = None
        self.is_open.clear()

    async def resume(self) -> None:
        """Pass on what was kept, and from then on each frame as it comes: a conversation is open."""
        while self._held:
            held, self._held = self._held, []
            for frame, chars in held:
                self._held_chars -= chars
                await self._deliver(frame)
        self._link = self._session.link
        self.is_open.set()

    async def run(self) -> None:
        """Read until the client goes (ClientGone) or is disconnected (SessionEnded)."""
        while True:
            text = await self._client.receive(self._pass_audio)
            frame = protocol.read(text, self._policy)
            if isinstance(frame, protocol.Rejection):
                await self._refuse(frame)
                await self._keep_pace(0, len(text))
                continue
            if self._recording is not None:
                self._recording.client_event(frame.event, time.monotonic())
            if frame.left_out:
                await self._leave_out(frame)
            await self._pass_on(frame, len(text) + FRAME_CHARS)
            in_base64 = frame.audio_bytes * 4 // 3  # at least
            await self._keep_pace(frame.audio_bytes, len(text) - in_base64)

    def _pass_audio(self, text: str) -> bool:
        """Pass audio on at once, decoded and written anew; return False if the frame is not audio, or has to wait."""
        link = self._link
        if link is None or not link.upstream.is_free:
            return False
        append = protocol.read_audio(text, self._events)
        if append is None:
            return False
        now, audio_bytes = time.monotonic(), len(append.audio)
        if not self._limiter.takes(audio_bytes, now, len(text) - audio_bytes * 4 // 3):
            return False
        if self._recording is not None:
            self._recording.caller_said(append.audio, now)
        written = protocol.write_audio(link.conversation.audio_appended(append, now), text)
        TO_MODEL.frames += 1
        TO_MODEL.bytes += len(written)
        link.upstream.write(written)
        return True

    async def _pass_on(self, frame: protocol.ClientFrame | Event, chars: int) -> None:
        """Deliver now, or keep it: many clients end at an `error` that comes before their `session.created`."""
        if self.is_open.is_set():
            await self._deliver(frame)
            return
        self._held.append((frame, chars))
        self._held_chars += chars
        if self._held_chars > HELD_CHARS:
            await self.is_open.wait()

    def _deliver(self, frame: protocol.ClientFrame | Event) -> Awaitable[None]:
        """Hand a frame to the conversation, or an event to the client."""
        return self._hear(frame) if isinstance(frame, protocol.ClientFrame) else self._client.send(frame)

    async def _keep_pace(self, audio_bytes: int, chars: int) -> None:
        pause = self._limiter.took(audio_bytes, time.monotonic(), max(0, chars))
        if isinstance(pause, RateExceeded):
            raise SessionEnded.because("too_fast")
        if pause:  # the client's connection holds it back meanwhile
            await asyncio.sleep(pause)

    async def _leave_out(self, frame: protocol.ClientFrame) -> None:
        if frame.left_out not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(frame.left_out)
            names = ", ".join(frame.left_out)
            log.info(
                "session %s: fields left out of a client event, as its policy forbids them: %s",
                self._session.session_id,
                names,
            )
        if self._tells_left_out:
            told = protocol.left_out_event(frame.left_out, frame.event.get("event_id"))
            await self._pass_on(told, TOLD_CHARS)

    async def _refuse(self, refusal: protocol.Rejection) -> None:
        await self._pass_on(refusal.as_event("rb_refused"), TOLD_CHARS)
        now = time.monotonic()
        self._refused_at.append(now)
        while self._refused_at[0] < now - MINUTE:
            self._refused_at.pop(0)
        if len(self._refused_at) > self._policy.refusals_per_minute:
            raise SessionEnded.because("too_many_refusals")
