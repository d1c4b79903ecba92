"""One conversation, the same for each framework: what is asked, and what must be heard before the next question.

A driver is a program that a framework's own environment runs:

    python -m tests.clients.drivers.pydantic_ai_talks <base URL> <token> <speech> <what is heard of the parrot>

It prints one line of JSON: the words that were heard in each step, what its own function was called with, and every
error that the framework told of. Nothing outside the standard library is imported here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

INSTRUCTIONS = "You are a pirate."
PATIENCE = 20.0
"""Seconds for each step; it is over as soon as its words are heard."""
PIECE_BYTES = 4_800
PIECE_SECONDS = 0.02
"""A tenth of a second of speech in each, five times as fast as it was spoken."""
SILENCE = bytes(2 * 24_000)


class Talk(Protocol):
    """A framework's session, reduced to what the conversation needs."""

    async def ask(self, words: str) -> None:
        """Say something in writing, and ask for an answer."""
        ...

    async def hear(self, pcm: bytes) -> None:
        """A piece of what the microphone hears: 24 kHz, 16 bits."""
        ...

    async def interrupt(self) -> None:
        """Stop the answer by the framework's own means."""
        ...


@dataclass
class Ears:
    """What a driver notes while it talks."""

    said: str = ""
    errors: list[str] = field(default_factory=list)
    parrot: list[str] = field(default_factory=list)
    audio_bytes: int = 0
    is_free: asyncio.Event = field(default_factory=asyncio.Event)
    """No response is active, for frameworks that leave it to the program to wait for that."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def words(self, text: str | None) -> None:
        self.said += text or ""
        self._news.set()

    def error(self, problem: object) -> None:
        self.errors.append(str(problem)[:500])
        self._news.set()

    async def parrot_says(self, word: str) -> str:
        """The client's own function."""
        self.parrot.append(word)
        await asyncio.sleep(0)
        return json.dumps({"said": f"{word} squawk"})

    async def until(self, words: str) -> str:
        """Wait until these words are heard from now on; returns what was."""
        begin = len(self.said)
        try:
            async with asyncio.timeout(PATIENCE):
                while words not in self.said[begin:]:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self.errors.append(f"waited in vain for {words!r}, and heard {self.said[begin:]!r}")
        return self.said[begin:]


Connect = Callable[[str, str, Ears], AbstractAsyncContextManager[Talk]]


async def converse(connect: Connect, base: str, token: str, speech: bytes, parrot_says: str) -> dict[str, Any]:
    """Text, a function of the server's, one of the client's, speech, interruptions, and a second connection."""
    ears, heard = Ears(), dict[str, str]()
    sound = speech + SILENCE

    async def step(name: str, words: str, act: Callable[[], Awaitable[None]]) -> None:
        waiting = asyncio.create_task(ears.until(words))
        await asyncio.sleep(0)
        await act()
        heard[name] = await waiting

    async def aloud(talk: Talk) -> None:
        for start in range(0, len(sound), PIECE_BYTES):
            await talk.hear(sound[start : start + PIECE_BYTES])
            await asyncio.sleep(PIECE_SECONDS)

    async with connect(base, token, ears) as talk:
        await step("text", "12 degrees", lambda: talk.ask("What is the weather in London UK?"))
        await step("parrot", parrot_says, lambda: talk.ask("Ask the parrot."))
        await step("speech", "12 degrees", lambda: aloud(talk))
        await step("story", "Once upon", lambda: talk.ask("Tell me a story."))
        await step("interruption", "12 degrees", lambda: aloud(talk))
        await step("story", "Once upon", lambda: talk.ask("Tell me a story."))
        await talk.interrupt()
        await step("after", "B-2301", lambda: talk.ask("Where is my order B-2301?"))
    async with connect(base, token, ears) as talk:
        await step("again", "12 degrees", lambda: talk.ask("What is the weather in London UK?"))
    return {"heard": heard, "errors": ears.errors, "parrot": ears.parrot, "audio_bytes": ears.audio_bytes}


def run(connect: Connect) -> None:
    """The program."""
    base, token, speech, parrot_says = sys.argv[1:]
    try:
        told = asyncio.run(converse(connect, base, token, Path(speech).read_bytes(), parrot_says))
    except Exception:
        told = {"heard": {}, "errors": [traceback.format_exc()], "parrot": [], "audio_bytes": 0}
    sys.stdout.write(f"{json.dumps(told)}\n")
