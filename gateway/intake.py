"""What a client sends, on its way to the brain: decoded by its policy, held to a pace, and kept while nobody hears it.

A frame that is refused goes no further, and the client is told by which rule. A client that is told so too often, or
that does not keep its pace for long, is hung up on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from gateway import policy
from gateway.client import Client
from gateway.conversation.actions import Event
from gateway.line import Over
from gateway.rates import Pace, TooFast
from ringback.clients import ClientPolicy

HELD_CHARS = 4 * 1024 * 1024
"""Of a client's frames while no conversation is open: a minute of audio. Beyond it the client's own buffer fills."""
FRAME_CHARS = 64
"""What each frame counts for beside its own length: many tiny ones have a bound as well."""
MINUTE = 60.0

Hear = Callable[[policy.ClientFrame], Awaitable[None]]
Tell = Callable[[Event], Awaitable[None]]


class Intake:
    """The client's way in.

    Args:
        hear: hands a frame that passed to the brain.
        tell: writes an event to the client.
        session: as the agent's file has it, with what the client has set of it before.
    """

    def __init__(self, client: Client, allowed: ClientPolicy, hear: Hear, tell: Tell, session: Event) -> None:
        self._client = client
        self._allowed = allowed
        self._hear = hear
        self._tell = tell
        self._pace = Pace(allowed, time.monotonic())
        self.heard_as = self._pace.heard_as
        self.heard_as(session)
        self._refused: deque[float] = deque()
        self._held: deque[tuple[policy.ClientFrame, int]] = deque()
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
            await self._hear(frame)
        self.is_open.set()

    async def run(self) -> None:
        """Until the client goes (ClientGone), or has to (Over)."""
        while True:
            frame = await self._client.receive()
            said = policy.read(frame, self._allowed)
            if isinstance(said, policy.Refusal):
                await self._refuse(said)
                await self._keep_pace(0, len(frame))
                continue
            if said.left_out and self._allowed.refuses_fields:
                await self._refuse(policy.about_left_out(said.left_out, said.event.get("event_id")))
            await self._pass_on(said, len(frame) + FRAME_CHARS)
            await self._keep_pace(said.audio_bytes, len(frame) - _in_base64(said.audio_bytes))

    async def _pass_on(self, frame: policy.ClientFrame, chars: int) -> None:
        if self.is_open.is_set():
            await self._hear(frame)
            return
        self._held.append((frame, chars))
        self._held_chars += chars
        if self._held_chars > HELD_CHARS:
            await self.is_open.wait()

    async def _keep_pace(self, audio_bytes: int, chars: int) -> None:
        pause = self._pace.took(audio_bytes, time.monotonic(), max(0, chars))
        if isinstance(pause, TooFast):
            raise Over.because("too_fast")
        if pause:  # its own connection holds it back meanwhile
            await asyncio.sleep(pause)

    async def _refuse(self, refusal: policy.Refusal) -> None:
        await self._tell(refusal.as_event("rb_refused"))
        now = time.monotonic()
        self._refused.append(now)
        while self._refused[0] < now - MINUTE:
            self._refused.popleft()
        if len(self._refused) > self._allowed.refusals_per_minute:
            raise Over.because("too_many_refusals")


def _in_base64(audio_bytes: int) -> int:
    """What so much audio takes up in a frame, at least."""
    return audio_bytes * 4 // 3
