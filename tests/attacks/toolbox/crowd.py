"""Very many clients at once: each sends an upgrade, and reads the head of the answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.caller import PATIENCE

LET_IN = 101


class Answer(NamedTuple):
    """The head of an HTTP answer; `retry_after` as it stands there."""

    status: int
    retry_after: str


async def storm(url: str, tokens: Sequence[str], clients: int) -> list[Answer]:
    """So many upgrades on one gateway, as fast as the machine can; whoever is let in stays until all have an answer."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    place = parts.hostname, parts.port
    async with AsyncExitStack() as inside:
        asks = (_ask(inside, place, parts.path, token) for token in itertools.islice(itertools.cycle(tokens), clients))
        return await asyncio.gather(*asks)


async def _ask(inside: AsyncExitStack, place: tuple[str, int], path: str, token: str) -> Answer:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*place)
        inside.push_async_callback(_hang_up, writer)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {place[0]}:{place[1]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    answer = Answer(int(first.split()[1]), headers.get("retry-after", ""))
    if answer.status != LET_IN:
        await _hang_up(writer)
    return answer


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
