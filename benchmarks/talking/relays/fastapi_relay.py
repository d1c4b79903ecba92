"""A blind relay as an application would write it: FastAPI before, `websockets` behind, as each comes.

fastapi_relay.py PORT UPSTREAM_URL
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

app = FastAPI()


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.websocket("/v1/realtime")
async def relay(client: WebSocket) -> None:
    """Pass frames on in both directions until one side is gone."""
    await client.accept()
    async with connect(sys.argv[2], compression=None, max_size=None, proxy=None) as model:
        ways = [asyncio.create_task(way) for way in (_up(client, model), _down(model, client))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _up(client: WebSocket, model: ClientConnection) -> None:
    with suppress(WebSocketDisconnect, ConnectionClosed):
        while True:
            await model.send(await client.receive_text())


async def _down(model: ClientConnection, client: WebSocket) -> None:
    with suppress(WebSocketDisconnect, ConnectionClosed, RuntimeError):
        async for frame in model:
            await client.send_text(str(frame))


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", ws_per_message_deflate=False)
