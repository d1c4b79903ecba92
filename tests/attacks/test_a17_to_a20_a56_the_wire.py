"""A17–A20 and A56: what is sent by hand, before and below the events. Other sessions do not notice."""

from __future__ import annotations

import asyncio
import re
import struct
import zlib

import psutil
import pytest

from tests.attacks.toolbox.fort import FIRST, Fort, marker, order
from tests.line import TOKEN
from tests.wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    all_of,
    ask,
    close_code,
    dial,
    frame,
    pour,
    upgrade,
    upgraded,
)

pytestmark = [pytest.mark.anyio, pytest.mark.long]

BEARER = f"Authorization: Bearer {TOKEN}"
MEGABYTE = 1024 * 1024


def port_of(fort: Fort) -> int:
    return int(fort.line.url.rpartition(":")[2])


def memory(fort: Fort) -> int:
    """Of the gateway, in bytes."""
    return int(psutil.Process(fort.line.pids[FIRST]).memory_info().rss)


def attack(fort: Fort, data: bytes, times: int = 1) -> int:
    """Send it on a WebSocket of a user's; the code that it is closed with."""
    with upgraded(port_of(fort), BEARER) as talk:
        pour(talk, data, times)
        return close_code(talk)


async def while_another_talks(fort: Fort, data: bytes, times: int) -> int:
    """The same, in the midst of another session's questions, each of which is answered."""
    async with fort.stranger() as other:
        attacked = asyncio.create_task(asyncio.to_thread(attack, fort, data, times))
        asked = 0
        while not attacked.done() or asked < 3:
            words = marker("still here")
            await other.ask(order(say=words))
            await other.hear_words(words)
            asked += 1
        return await attacked


# — A17 —


async def test_a17_compression_is_not_agreed_to_and_a_bomb_is_not_unpacked(fort: Fort) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = (packer.compress(bytes(100 * MEGABYTE)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    before = memory(fort)
    with upgraded(port_of(fort), BEARER, "Sec-WebSocket-Extensions: permessage-deflate") as talk:
        pour(talk, frame(TEXT, bomb, reserved=0b100))
        assert close_code(talk) == 1002
    assert memory(fort) - before < 20 * MEGABYTE


# — A18 —


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a18_a_frame_of_two_gigabytes_is_refused_by_its_head(fort: Fort, opcode: int) -> None:
    assert attack(fort, bytes([0x80 | opcode, 0xFF]) + struct.pack("!Q", 2 << 30) + bytes(4)) == 1009


async def test_a18_fragments_without_end_are_not_gathered(fort: Fort) -> None:
    before = memory(fort)
    large = frame(CONT, b"x" * 60_000, fin=False)
    assert attack(fort, frame(TEXT, b"x", fin=False) + large * 1_000) == 1009
    assert memory(fort) - before < 20 * MEGABYTE


async def test_a18_a_million_fragments_of_one_byte_are_counted(fort: Fort) -> None:
    before = memory(fort)
    start, more = frame(TEXT, b"x", fin=False), frame(CONT, b"x", fin=False)
    assert await while_another_talks(fort, start + more * 1_000_000, 1) == 1009
    assert memory(fort) - before < 20 * MEGABYTE


# — A19 —


FLOODS = {
    "pings": frame(PING),
    "large pings": frame(PING, b"x" * 125),
    "pongs": frame(PONG),
    "empty frames": frame(TEXT),
    "empty binary frames": frame(BINARY),
    "tiny frames": frame(TEXT, b"{}"),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_a19_a_flood_of_frames_is_hung_up_on_and_nobody_else_notices(fort: Fort, flood: bytes) -> None:
    before = memory(fort)
    code = await while_another_talks(fort, flood * 10_000, 20)
    # A frame that is no event is refused, too: of two limits, the one that is reached first ends the connection.
    assert code == 4029 or (flood == FLOODS["tiny frames"] and code == 4403)
    assert memory(fort) - before < 20 * MEGABYTE


# — A20 —


SLOW = {
    "nothing": ((), b""),
    "three letters": ((b"G", b"E", b"T"), b"HTTP/1.1 408 "),
    "all but the last line": ((upgrade(BEARER)[:-2],), b"HTTP/1.1 408 "),
    "half a header": (
        (b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: here\r\nX-Slow: ",),
        b"HTTP/1.1 408 ",
    ),
}
"""What is sent on a connection, piece by piece, and how the answer begins."""


async def test_a20_whoever_says_nothing_or_says_it_in_drops_is_not_waited_for(fort: Fort) -> None:
    before = fort.connections()
    asked = (asyncio.to_thread(ask, port_of(fort), *pieces) for pieces, _ in SLOW.values())
    answers = dict(zip(SLOW, await asyncio.gather(*asked), strict=True))
    for name, (_, beginning) in SLOW.items():
        assert answers[name].startswith(beginning), name
    assert answers["nothing"] == b""
    assert fort.connections() == before


async def test_a20_hundreds_of_them_keep_nobody_out(fort: Fort) -> None:
    silent = [dial(port_of(fort)) for _ in range(300)]
    try:
        words = marker("let in")
        async with fort.stranger() as caller:
            await caller.ask(order(say=words))
            await caller.hear_words(words)
        assert all(all_of(talk) == b"" for talk in silent)
    finally:
        for talk in silent:
            talk.close()


# — A56 —


HOST = b"Host: here\r\n"
SMUGGLED = b"GET /v1/sessions HTTP/1.1\r\nHost: here\r\n" + BEARER.encode() + b"\r\n\r\n"
REQUESTS: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
    "two lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
        (b"400",),
    ),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        (b"400",),
    ),
    "chunks by another name": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        (b"400", b"501"),
    ),
    "a space before the colon": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        (b"400",),
    ),
    "a bare newline": (b"POST / HTTP/1.1\r\n" + HOST + b"A: b\x00\r\n\r\n" + SMUGGLED, (b"400",)),
    "h2c": (
        b"GET /v1/realtime HTTP/1.1\r\n"
        + HOST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        (b"400",),
    ),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (b"400",)),
    "an upgrade elsewhere": (upgrade(BEARER, target="/v1/sessions"), (b"400",)),
    "an upgrade to the health": (upgrade(BEARER, target="/healthz"), (b"400",)),
    "an upgrade with a body": (upgrade(BEARER, "Content-Length: 9") + b"smuggled!", (b"400",)),
    "a proxy's request": (b"GET http://169.254.169.254/ HTTP/1.1\r\n" + HOST + b"\r\n", (b"400",)),
    "a tunnel": (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n", (b"400",)),
    "ten thousand headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 10_000 + b"\r\n", (b"431",)),
    "a huge header": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 15_000 + b"\r\n\r\n", (b"431",)),
    "a header without end": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 200_000, (b"431",)),
    "a huge address": (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", (b"414",)),
    "a huge body": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000000\r\n\r\n", (b"413",)),
}


@pytest.mark.parametrize(("request_", "statuses"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_a56_what_two_servers_could_read_differently_is_refused_and_hung_up_on(
    fort: Fort, request_: bytes, statuses: tuple[bytes, ...]
) -> None:
    said = await asyncio.to_thread(ask, port_of(fort), request_)
    assert said == b"" or said.startswith(tuple(b"HTTP/1.1 " + status for status in statuses)), said[:200]
    assert len(re.findall(rb"HTTP/1\.1 \d{3}", said)) <= 1, "what was smuggled is not answered"


async def test_a56_a_socket_that_says_goodbye_is_heard(fort: Fort) -> None:
    """So that what is refused above is refused for what it is."""
    with upgraded(port_of(fort), BEARER) as talk:
        talk.sendall(frame(CLOSE, struct.pack("!H", 1000)))
        assert await asyncio.to_thread(close_code, talk) == 1000
