"""Servers of a Realtime API, with manners that a test chooses."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from gateway.upstream.connection import Target, Upstream

PATIENCE = 20
Open = Callable[[Target, float], Awaitable[Upstream]]


@asynccontextmanager
async def server(
    answer: Callable[[ServerConnection], Awaitable[None]], context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Target]:
    """A Realtime API that does this with each connection."""
    async with (
        asyncio.timeout(PATIENCE),
        serve(answer, "127.0.0.1", 0, compression=None, ssl=context, **options) as serving,
    ):
        port = next(iter(serving.sockets)).getsockname()[1]
        yield Target(f"{'wss' if context else 'ws'}://localhost:{port}/v1/realtime", {"Authorization": "Bearer key"})


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Target]:
    async with asyncio.timeout(PATIENCE):
        serving = await asyncio.start_server(answer, "127.0.0.1", 0)
        try:
            yield Target(f"ws://127.0.0.1:{serving.sockets[0].getsockname()[1]}", {})
        finally:
            serving.close()
