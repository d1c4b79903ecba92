"""pydantic-ai: an agent's realtime session, with instructions and a function of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import PartDeltaEvent, RealtimeSessionErrorEvent, SpeechPartDelta
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.realtime.openai import OpenAIRealtimeModel

from tests.clients.drivers.talking import INSTRUCTIONS, Ears, Talk, run


class Talking:
    """A session, and a task that listens to it."""

    def __init__(self, session: Any, ears: Ears) -> None:
        self._session, self._ears = session, ears

    async def listen(self) -> None:
        async for event in self._session:
            if isinstance(event, RealtimeSessionErrorEvent):
                self._ears.error(event.message)
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, SpeechPartDelta):
                if event.delta.speaker == "assistant":
                    self._ears.words(event.delta.transcript_delta)
                self._ears.audio_bytes += len(event.delta.audio_chunk or b"")

    async def ask(self, words: str) -> None:
        await self._session.send(words)

    async def hear(self, pcm: bytes) -> None:
        await self._session.send_audio(pcm)

    async def interrupt(self) -> None:
        await self._session.interrupt(played_ms=500)


@asynccontextmanager
async def connect(base: str, token: str, ears: Ears) -> AsyncIterator[Talk]:
    agent = Agent(instructions=INSTRUCTIONS)

    async def parrot(word: str) -> str:
        """Ask the parrot."""
        return await ears.parrot_says(word)

    agent.tool_plain(parrot)

    model = OpenAIRealtimeModel("gpt-realtime", provider=OpenAIProvider(base_url=base, api_key=token))
    async with agent.realtime(model).session() as session:
        talking = Talking(session, ears)
        listening = asyncio.create_task(talking.listen())
        yield talking
        listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


if __name__ == "__main__":
    run(connect)
