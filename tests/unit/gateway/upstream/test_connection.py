"""A Realtime API that takes nothing any more, and does not say so, holds nobody up for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from gateway.upstream import connection as upstream
from gateway.upstream.connection import Target, UpstreamClosed, WebSocketUpstream

pytestmark = [pytest.mark.anyio, pytest.mark.loopback]

PATIENCE = 20
A_LOT = "x" * 1_000_000


@asynccontextmanager
async def deaf_server() -> AsyncIterator[Target]:
    """It completes the upgrade, and reads nothing after that."""
    done = asyncio.Event()

    async def stand_still(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await done.wait()
        connection.transport.abort()

    async with serve(stand_still, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        try:
            yield Target(f"ws://127.0.0.1:{port}", {})
        finally:
            done.set()


async def send_until_it_is_noticed(line: WebSocketUpstream) -> None:
    while True:
        await line.send(A_LOT)


async def test_a_server_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "SEND_SECONDS", 0.2)
    async with asyncio.timeout(PATIENCE), deaf_server() as target:
        line = await WebSocketUpstream.open(target, 5.0)
        with pytest.raises(UpstreamClosed):
            await send_until_it_is_noticed(line)
        with pytest.raises(UpstreamClosed):
            await line.receive()
        await line.close()


async def test_a_goodbye_to_a_server_that_reads_nothing_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "CLOSE_SECONDS", 0.1)
    async with asyncio.timeout(PATIENCE), deaf_server() as target:
        line = await WebSocketUpstream.open(target, 5.0)
        sending = [asyncio.create_task(line.send(A_LOT)) for _ in range(20)]
        await asyncio.sleep(0)
        await line.close()
        for outcome in await asyncio.gather(*sending, return_exceptions=True):
            assert outcome is None or isinstance(outcome, UpstreamClosed)
