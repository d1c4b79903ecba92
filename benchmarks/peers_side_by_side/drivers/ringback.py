"""Our side: a bare client of the gateway, which comes back to its session when its connection ends.

The gateway's bearer token is in the environment, under `TOKEN`. A mode is the name of an agent.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.peers_side_by_side.drivers.orders import Talk, obey

TOKEN = "RINGBACK_BENCH_TOKEN"
RETRY_SECONDS = 0.1


class Client:
    """Its events go as they are; of what it hears only the way back is kept."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: ClientConnection | None = None
        self._resume = ""
        self._there = asyncio.Event()
        self._living = asyncio.create_task(self._live())

    async def ask(self, words: str) -> None:
        content = [{"type": "input_text", "text": words}]
        await self._send({"type": "conversation.item.create", "item": _message(content)})
        await self._send({"type": "response.create"})

    async def hear(self, pcm: bytes) -> None:
        await self._send({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})

    async def leave(self) -> None:
        self._living.cancel()
        if self._socket:
            await self._socket.close()

    async def arrived(self) -> None:
        """The session is there."""
        await self._there.wait()

    async def _send(self, event: dict[str, Any]) -> None:
        assert self._socket
        await self._socket.send(json.dumps(event))

    async def _live(self) -> None:
        while True:
            try:
                await self._one_connection()
            except (OSError, TimeoutError, WebSocketException):
                await asyncio.sleep(RETRY_SECONDS)

    async def _one_connection(self) -> None:
        headers = {"Authorization": f"Bearer {os.environ[TOKEN]}"}
        if self._resume:
            headers["Ringback-Resume"] = self._resume
        async with connect(self._url, additional_headers=headers, max_size=None, proxy=None) as socket:
            self._socket = socket
            async for frame in socket:
                event = json.loads(frame)
                if event["type"] == "ringback.session.resumable":
                    self._resume = event["token"]
                    self._there.set()


def _message(content: list[dict[str, str]]) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": content}


async def _connect(url: str, mode: str) -> Talk:
    client = Client(f"{url}?ringback=resume&agent={mode}")
    await client.arrived()
    return client


if __name__ == "__main__":
    obey(_connect)
