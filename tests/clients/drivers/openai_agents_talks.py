"""openai-agents: a RealtimeSession with an agent, instructions and a function of its own, as its examples have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.tool import function_tool

from tests.clients.drivers.talking import INSTRUCTIONS, Ears, Talk, run


class Talking:
    """A session, and a task that listens to it."""

    def __init__(self, session: Any, ears: Ears) -> None:
        self._session, self._ears = session, ears

    async def listen(self) -> None:
        async for event in self._session:
            if event.type == "error":
                self._ears.error(event.error)
            elif event.type == "audio":
                self._ears.audio_bytes += len(event.audio.data)
            elif event.type == "raw_model_event" and event.data.type == "transcript_delta":
                self._ears.words(event.data.delta)

    async def ask(self, words: str) -> None:
        await self._session.send_message(words)

    async def hear(self, pcm: bytes) -> None:
        await self._session.send_audio(pcm)

    async def interrupt(self) -> None:
        await self._session.interrupt()


@asynccontextmanager
async def connect(base: str, token: str, ears: Ears) -> AsyncIterator[Talk]:
    async def parrot(word: str) -> str:
        """Ask the parrot."""
        return await ears.parrot_says(word)

    agent = RealtimeAgent(name="pirate", instructions=INSTRUCTIONS, tools=[function_tool(parrot)])
    where = {"url": f"{base.replace('http', 'ws', 1)}/realtime?model=gpt-realtime", "api_key": token}
    async with await RealtimeRunner(agent).run(model_config=where) as session:
        talking = Talking(session, ears)
        listening = asyncio.create_task(talking.listen())
        yield talking
    await asyncio.gather(listening, return_exceptions=True)


if __name__ == "__main__":
    run(connect)
