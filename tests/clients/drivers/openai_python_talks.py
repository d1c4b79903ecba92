"""openai for Python: a connection, and the loop over its events that the package's examples write."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from openai import AsyncOpenAI

from tests.clients.drivers.talking import INSTRUCTIONS, Ears, Talk, run

PARROT = {
    "type": "function",
    "name": "parrot",
    "description": "Ask the parrot.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


class Talking:
    """A connection, and a task that listens to it."""

    def __init__(self, connection: Any, ears: Ears) -> None:
        self._connection, self._ears = connection, ears
        self._item_id = ""

    async def listen(self) -> None:
        async for event in self._connection:
            if event.type == "error":
                self._ears.error(event.error)
            elif event.type == "response.output_audio.delta":
                self._item_id = event.item_id
                self._ears.audio_bytes += len(base64.b64decode(event.delta))
            elif event.type == "response.output_audio_transcript.delta":
                self._ears.words(event.delta)
            elif event.type == "response.created":
                self._ears.is_free.clear()
            elif event.type == "response.done":
                self._ears.is_free.set()
                await self._answer(event.response.output or [])

    async def _answer(self, items: list[Any]) -> None:
        calls = [item for item in items if item.type == "function_call"]
        for call in calls:
            output = await self._ears.parrot_says(**json.loads(call.arguments))
            item = {"type": "function_call_output", "call_id": call.call_id, "output": output}
            await self._connection.conversation.item.create(item=item)
        if calls:
            await self._connection.response.create()

    async def ask(self, words: str) -> None:
        await self._ears.is_free.wait()
        content = [{"type": "input_text", "text": words}]
        await self._connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await self._connection.response.create()

    async def hear(self, pcm: bytes) -> None:
        await self._connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def interrupt(self) -> None:
        await self._connection.response.cancel()
        await self._connection.conversation.item.truncate(item_id=self._item_id, content_index=0, audio_end_ms=100)
        await self._connection.conversation.item.retrieve(item_id=self._item_id)


@asynccontextmanager
async def connect(base: str, token: str, ears: Ears) -> AsyncIterator[Talk]:
    async with (
        AsyncOpenAI(api_key=token, base_url=base) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        session: Any = {"type": "realtime", "model": "gpt-realtime", "instructions": INSTRUCTIONS, "tools": [PARROT]}
        await connection.session.update(session=session)
        talking = Talking(connection, ears)
        ears.is_free.set()
        listening = asyncio.create_task(talking.listen())
        yield talking
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


if __name__ == "__main__":
    run(connect)
