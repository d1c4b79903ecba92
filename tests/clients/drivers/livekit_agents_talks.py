"""livekit-agents: an AgentSession without a room, with instructions and a function of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, RunContext, function_tool
from livekit.agents.utils import http_context
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities, TextOutput
from livekit.plugins import openai

from tests.clients.drivers.talking import INSTRUCTIONS, Ears, Talk, run

RATE = 24_000


class Microphone(AudioInput):  # type: ignore[misc] # not installed where this is checked
    """What the driver puts in, the session takes out."""

    def __init__(self) -> None:
        super().__init__(label="driver")
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def __anext__(self) -> Any:
        return await self.frames.get()


class Loudspeaker(AudioOutput):  # type: ignore[misc]
    """Plays all audio at once."""

    def __init__(self, ears: Ears) -> None:
        super().__init__(
            label="driver", capabilities=AudioOutputCapabilities(pause=False), next_in_chain=None, sample_rate=RATE
        )
        self._ears, self._seconds = ears, 0.0

    async def capture_frame(self, frame: Any) -> None:
        await super().capture_frame(frame)
        self._ears.audio_bytes += len(frame.data) * 2
        self._seconds += frame.duration

    def flush(self) -> None:
        super().flush()
        self._played(interrupted=False)

    def clear_buffer(self) -> None:
        self._played(interrupted=True)

    def _played(self, *, interrupted: bool) -> None:
        if self._seconds:
            self.on_playback_finished(playback_position=self._seconds, interrupted=interrupted)
        self._seconds = 0.0


class Subtitles(TextOutput):  # type: ignore[misc]
    """Reads along."""

    def __init__(self, ears: Ears) -> None:
        super().__init__(label="driver", next_in_chain=None)
        self._ears = ears

    async def capture_text(self, text: str) -> None:
        self._ears.words(text)

    def flush(self) -> None:
        return


class Talking:
    """A session with its agent."""

    def __init__(self, session: Any, microphone: Microphone) -> None:
        self._session, self._microphone = session, microphone

    async def ask(self, words: str) -> None:
        self._session.generate_reply(user_input=words)

    async def hear(self, pcm: bytes) -> None:
        self._microphone.frames.put_nowait(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    async def interrupt(self) -> None:
        await self._session.interrupt()


@asynccontextmanager
async def connect(base: str, token: str, ears: Ears) -> AsyncIterator[Talk]:
    async def parrot(_context: RunContext, word: str) -> str:
        return await ears.parrot_says(word)

    parrot.__annotations__ = {"_context": RunContext, "word": str, "return": str}
    async with http_context.open():
        model = openai.realtime.RealtimeModel(base_url=base, api_key=token, model="gpt-realtime")
        session: Any = AgentSession(llm=model)
        microphone = session.input.audio = Microphone()
        session.output.audio, session.output.transcription = Loudspeaker(ears), Subtitles(ears)
        session.on("error", lambda event: ears.error(event.error))
        tool = function_tool(parrot, name="parrot", description="Ask the parrot.")
        await session.start(Agent(instructions=INSTRUCTIONS, tools=[tool]))
        yield Talking(session, microphone)
        await session.aclose()


if __name__ == "__main__":
    run(connect)
