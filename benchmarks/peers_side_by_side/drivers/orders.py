"""What every driver is told, line by line on its standard input, and the words and sounds that all of them use.

Nothing but the standard library: the Python that runs this is another one for each side.

    driver URL MODE        MODE is "default", or the name of an option of that framework

`{"do": "connect"}`, `{"do": "ask", "words": …}`, `{"do": "speak", "seconds": …}` and `{"do": "leave"}` are answered by
a line with `DONE` and the same word.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

DONE = "@done "
NAME = "work"
DESCRIPTION = "Work on something."
INSTRUCTIONS = "Use the function whenever you are asked to work on something, and tell its result."
PARAMETERS = {
    "name": {"type": "string", "description": "What to work on."},
    "milliseconds": {"type": "integer", "description": "How long it takes."},
}
SILENCE_MS = 200
"""After which the user's turn is over: the same for all sides."""

RATE = 24_000
CHUNK_MS = 20
OPEN_SECONDS = 0.6
"""The microphone stays open for so long after the last word, so that the silence is heard."""
CHUNK_BYTES = RATE * CHUNK_MS // 1000 * 2
SPEECH = "RINGBACK_BENCH_SPEECH"
"""The environment variable with the file of what the user says: PCM16, mono, 24 kHz."""


class Talk(Protocol):
    """One conversation through a framework."""

    async def ask(self, words: str) -> None:
        """Say this in text, and want an answer."""

    async def hear(self, pcm: bytes) -> None:
        """Take 20 ms from the user's microphone: PCM16, mono, 24 kHz."""

    async def leave(self) -> None:
        """End it."""


async def work(name: str, milliseconds: int) -> str:
    """The tool: it takes its time."""
    await asyncio.sleep(milliseconds / 1000)
    return f"{name} is done"


def obey(connect: Callable[[str, str], Awaitable[Talk]]) -> None:
    """Do what is ordered until there are no more orders."""
    asyncio.run(_obey(connect, Path(os.environ[SPEECH]).read_bytes()))


async def _obey(connect: Callable[[str, str], Awaitable[Talk]], spoken: bytes) -> None:
    url, mode = sys.argv[1:3]
    talk: Talk | None = None
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "connect":
            talk = await connect(url, mode)
        elif talk is not None:
            await _do(talk, order, spoken)
        print(DONE + order["do"], flush=True)


async def _do(talk: Talk, order: dict[str, str | float], spoken: bytes) -> None:
    match order["do"]:
        case "ask":
            await talk.ask(str(order["words"]))
        case "speak":
            await _speak(talk, spoken, float(order["seconds"]))
        case "leave":
            await talk.leave()


async def _speak(talk: Talk, spoken: bytes, seconds: float) -> None:
    """So many seconds of it, at the pace of a microphone."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(round((seconds + OPEN_SECONDS) * 1000 / CHUNK_MS)):
        at = number * CHUNK_MS / 1000
        await asyncio.sleep(max(0.0, began + at - loop.time()))
        chunk = spoken[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES] if at < seconds else b""
        await talk.hear(chunk.ljust(CHUNK_BYTES, b"\0"))
