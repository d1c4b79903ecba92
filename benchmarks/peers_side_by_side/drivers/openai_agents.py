"""openai-agents: a RealtimeSession, its tool as a coroutine in this process."""

from __future__ import annotations

import asyncio
from typing import Any

from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.tool import function_tool

from benchmarks.peers_side_by_side.drivers.orders import DESCRIPTION, INSTRUCTIONS, NAME, SILENCE_MS, Talk, obey, work

_DETECTION = {
    "type": "server_vad",
    "silence_duration_ms": SILENCE_MS,
    "create_response": True,
    "interrupt_response": True,
}


class Session:
    """A session, and somebody who listens to it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._listening = asyncio.create_task(self._listen())

    async def ask(self, words: str) -> None:
        await self._session.send_message(words)

    async def hear(self, pcm: bytes) -> None:
        await self._session.send_audio(pcm)

    async def leave(self) -> None:
        await self._session.close()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        async for _ in self._session:
            pass


async def _connect(url: str, _mode: str) -> Talk:
    tool = function_tool(work, name_override=NAME, description_override=DESCRIPTION)
    agent = RealtimeAgent(name="bench", instructions=INSTRUCTIONS, tools=[tool])
    settings = {
        "model_name": "gpt-realtime",
        "output_modalities": ["text"],
        "audio": {"input": {"turn_detection": _DETECTION}},
    }
    where = {"url": f"{url}?model=gpt-realtime", "api_key": "x", "initial_model_settings": settings}
    session = await RealtimeRunner(agent).run(model_config=where)
    await session.enter()
    return Session(session)


if __name__ == "__main__":
    obey(_connect)
