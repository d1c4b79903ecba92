"""livekit-agents: an AgentSession without a room, its tool as a coroutine in this process.

Modes, all of them off by default: "update" lets the tool say at once that it is at it (`ctx.update`), so that it goes
on beside the talk, and gives the session a VAD, or it would not know that the user speaks; "uninterruptible" calls
`ctx.disallow_interruptions()` in the tool.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, RunContext, function_tool, inference
from livekit.agents.utils import http_context
from livekit.agents.voice.io import AudioInput
from livekit.plugins import openai
from openai.types.beta.realtime.session import TurnDetection

from benchmarks.peers_side_by_side.drivers.orders import DESCRIPTION, INSTRUCTIONS, NAME, RATE, SILENCE_MS, Talk, obey
from benchmarks.peers_side_by_side.drivers.orders import work as same_work


class Microphone(AudioInput):  # type: ignore[misc] # not installed where this is checked
    """What the driver puts in, the session takes out."""

    def __init__(self) -> None:
        super().__init__(label="driver")
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def __anext__(self) -> Any:
        return await self.frames.get()


class Talking:
    """A session with its agent."""

    def __init__(self, session: Any, microphone: Microphone, around: AsyncExitStack) -> None:
        self._session = session
        self._microphone = microphone
        self._around = around

    async def ask(self, words: str) -> None:
        self._session.generate_reply(user_input=words)

    async def hear(self, pcm: bytes) -> None:
        samples = len(pcm) // 2
        self._microphone.frames.put_nowait(rtc.AudioFrame(pcm, RATE, 1, samples))

    async def leave(self) -> None:
        await self._session.aclose()
        await self._around.aclose()


def _tool(mode: str) -> Any:
    async def work(context: RunContext, name: str, milliseconds: int) -> str:
        if mode == "update":
            await context.update("It has begun.")
        elif mode == "uninterruptible":
            context.disallow_interruptions()
        return await same_work(name, milliseconds)

    work.__annotations__ = {"context": RunContext, "name": str, "milliseconds": int, "return": str}
    return function_tool(work, name=NAME, description=DESCRIPTION)


async def _connect(url: str, mode: str) -> Talk:
    around = AsyncExitStack()
    await around.enter_async_context(http_context.open())
    detection = TurnDetection(
        type="server_vad", silence_duration_ms=SILENCE_MS, create_response=True, interrupt_response=True
    )
    model = openai.realtime.RealtimeModel(
        base_url=url.replace("ws", "http", 1).removesuffix("/realtime"),
        api_key="x",
        model="gpt-realtime",
        modalities=["text"],
        turn_detection=detection,
    )
    listening = {"vad": inference.VAD(model="silero")} if mode == "update" else {}
    session = AgentSession(llm=model, **listening)
    microphone = Microphone()
    session.input.audio = microphone
    await session.start(Agent(instructions=INSTRUCTIONS, tools=[_tool(mode)]))
    return Talking(session, microphone, around)


if __name__ == "__main__":
    obey(_connect)
