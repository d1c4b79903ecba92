"""Performs what a conversation decides: each effect that takes time has a task, and reports back when it is done.

One performer belongs to one conversation. Where its events go is up to its owner: one WebSocket, or all parties of a
call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.conversation import Conversation
from simulator.effects import Effect, HangUp, Hear, Later, Play, Send, Speak, Track
from simulator.speech import synthesis
from simulator.speech.ears import DEAF, Ears
from simulator.wire import Event, server_event


@dataclass(frozen=True)
class Speech:
    """The ears and the voice; both are called in a thread, with PCM16 mono 24 kHz."""

    ears: Ears
    speak: Callable[[str], bytes]

    def told(self) -> str:
        """Return what hears and what speaks, as a sentence."""
        voice = "hibari-tts" if self.speak is synthesis.speak and synthesis.available() else "a chime"
        return f"It {self.ears.told()}; it speaks with {voice}."


# No recognition, and a chime: turns are identified by their number, and no model is loaded.
NO_SPEECH = Speech(DEAF, speak=lambda text: synthesis.chime())


class Audience(Protocol):
    """Who hears what the conversation sends."""

    def send(self, event: Event) -> None:
        """Queue an event."""

    def hang_up(self, effect: HangUp) -> None:
        """End what the conversation is held over, after the queued events."""

    def drained(self) -> Awaitable[None]:
        """Wait until the queued events are sent: a slow client sets the pace of a response."""


class Performer:
    """The tasks of one conversation."""

    def __init__(self, conversation: Conversation, speech: Speech, audience: Audience) -> None:
        self.conversation = conversation
        self._speech = speech
        self._audience = audience
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False

    @contextlib.asynccontextmanager
    async def performing(self) -> AsyncIterator[None]:
        """Perform effects while the block runs; its end cancels what is under way."""
        async with self._group:
            try:
                yield
            finally:
                self._is_over = True
            for task in self._tasks:
                task.cancel()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside the others, until the end at the latest; after that, a last frame may still ask for something."""
        if self._is_over:
            return work.close()
        task = self._group.create_task(work)
        self._tasks.add(task)
        return task.add_done_callback(self._tasks.discard)

    def start_clocks(self) -> None:
        """Start what the knobs want to happen by itself: the end of the session, and pings."""
        knobs = self.conversation.knobs
        if knobs.expire_after_ms is not None:
            self.start(self._later(Later(knobs.expire_after_ms, self.conversation.expire)))
        if knobs.ping_ms is not None:
            self.start(self._ping(knobs.ping_ms / 1000))

    def perform(self, effects: Sequence[Effect]) -> None:
        """Send at once what is to be sent, and start what takes time."""
        for effect in effects:
            match effect:
                case Send():
                    event = self.conversation.knobs.shown(effect.event)
                    if event is not None:
                        self._audience.send(event)
                case HangUp():
                    self._audience.hang_up(effect)
                case Play():
                    self.start(self._play(effect.track))
                case Hear():
                    self.start(self._hear(effect))
                case Speak():
                    self.start(self._speak(effect))
                case Later():
                    self.start(self._later(effect))

    async def _play(self, track: Track) -> None:
        """Play a track step by step."""
        while (wait_ms := track.wait_ms) is not None:
            await asyncio.sleep(wait_ms / 1000)
            if track.wait_ms is not None:
                self.perform(self.conversation.advance(track))
                await self._audience.drained()

    async def _hear(self, effect: Hear) -> None:
        text = await asyncio.to_thread(self._speech.ears.hear, effect.pcm, effect.hints)
        self.perform(self.conversation.heard(effect.item_id, text))

    async def _speak(self, effect: Speak) -> None:
        voices = {text: await asyncio.to_thread(self._speech.speak, text) for text in effect.texts}
        self.perform(self.conversation.voiced(effect.response_id, voices))

    async def _later(self, effect: Later) -> None:
        await asyncio.sleep(effect.after_ms / 1000)
        self.perform(effect.then())

    async def _ping(self, every_s: float) -> None:
        while True:
            self._audience.send(server_event("ping", timestamp=int(asyncio.get_running_loop().time() * 1000)))
            await asyncio.sleep(every_s)
