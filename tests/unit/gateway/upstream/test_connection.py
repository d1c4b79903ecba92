"""A connection to a Realtime API keeps the same promises whichever library carries it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from gateway.upstream import connection as upstream
from gateway.upstream.connection import Target, Upstream, UpstreamClosed
from gateway.upstream.quirks import Quirks
from tests.unit.gateway.upstream.serving import Open, server

pytestmark = [pytest.mark.anyio, pytest.mark.loopback]

A_LOT = "x" * 1_000_000


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    """A short frame of a server."""
    return bytes([fin << 7 | reserved << 4 | opcode, len(data)]) + data


TEXT, BINARY, CONT, CLOSE, PING = 0x1, 0x2, 0x0, 0x8, 0x9


def saying(*pieces: bytes | str) -> Callable[[ServerConnection], Awaitable[None]]:
    """Answers with these bytes, or events, and waits for the end."""

    async def say(connection: ServerConnection) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                await connection.send(piece)
            else:
                connection.transport.write(piece)
        await connection.wait_closed()

    return say


async def all_of(line: Upstream, passes: upstream.Passes = upstream.takes_none) -> tuple[list[str], UpstreamClosed]:
    """The events until the end, and the end."""
    heard: list[str] = []
    while True:
        try:
            heard.append(await line.receive(passes))
        except UpstreamClosed as end:
            with pytest.raises(UpstreamClosed):
                await line.receive()
            with pytest.raises(UpstreamClosed):
                await line.send("{}")
            assert not line.is_free
            await line.close()
            return heard, end


# — events —


async def test_events_come_in_order_and_those_that_pass_are_taken_in_order_too(dial: Open) -> None:
    said = [f"{'pass' if number % 3 else 'read'} {number}" for number in range(100)]
    heard: list[str] = []

    def passes(event: str) -> bool:
        if event.startswith("pass"):
            heard.append(event)
            return True
        return False

    async with server(saying(*said, frame(CLOSE, b"\x03\xe8"))) as target:
        line = await dial(target, 5.0)
        with suppress(UpstreamClosed):
            while True:
                heard.append(await line.receive(passes))
                await asyncio.sleep(0)  # the session works on it
                while (event := line.take(passes)) is not None:
                    heard.append(event)
        await line.close()
    assert heard == said


async def test_what_is_sent_arrives_at_once_or_when_it_can(dial: Open) -> None:
    arrived: list[Any] = []

    async def listen(connection: ServerConnection) -> None:
        arrived.extend([event async for event in connection])

    said = [f"é {number} {'x' * (10_000 if number % 3 else 100)}" for number in range(300)]
    async with server(listen, max_size=None) as target:
        line = await dial(target, 5.0)
        for number, event in enumerate(said):
            if number % 2 and line.is_free:
                line.write(event)
            else:
                await line.send(event)
        await line.close()
    assert arrived == said


@pytest.mark.parametrize(
    ("pieces", "event"),
    [
        ((frame(TEXT, b"{}"),), "{}"),
        ((frame(TEXT, b"a", fin=False), frame(PING), frame(CONT, b"\xc3", fin=False), frame(CONT, b"\xa9")), "aé"),
        ((frame(BINARY, b"{}"),), "{}"),
        ((frame(BINARY, b"{", fin=False), frame(CONT, b"\xff")), "{\ufffd"),
        ((frame(TEXT),), ""),
    ],
    ids=["whole", "in pieces", "bytes", "bytes in pieces", "empty"],
)
async def test_a_message_is_one_event_however_it_is_framed(dial: Open, pieces: tuple[bytes, ...], event: str) -> None:
    async with server(saying(b"".join(pieces), frame(CLOSE, b"\x03\xe8"))) as target:
        heard, end = await all_of(await dial(target, 5.0))
    assert (heard, end.code) == ([event], 1000)


async def test_a_receiver_that_gave_up_has_lost_no_event(dial: Open) -> None:
    goes_on = asyncio.Event()

    async def say(connection: ServerConnection) -> None:
        await goes_on.wait()
        await connection.send("one")
        await connection.wait_closed()

    async with server(say) as target:
        line = await dial(target, 5.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.receive(), 0.01)
        goes_on.set()
        assert await line.receive() == "one"
        await line.close()


async def test_a_server_that_says_more_than_is_read_has_to_wait(dial: Open) -> None:
    has_said_all = asyncio.Event()

    async def pour(connection: ServerConnection) -> None:
        for number in range(60):
            await connection.send(f"{number} {A_LOT}")
        has_said_all.set()
        await connection.wait_closed()

    async with server(pour, write_limit=1) as target:
        line = await dial(target, 5.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(has_said_all.wait(), 0.3)
        assert [(await line.receive()).split()[0] for _ in range(60)] == [str(number) for number in range(60)]
        await line.close()


# — ends —


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((frame(CLOSE, b"\x03\xe8"),), 1000),
        ((frame(CLOSE, struct.pack("!H", 4_000) + b"gone"),), 4000),
        ((frame(CLOSE),), 1005),
        ((frame(TEXT, b"\xff"),), 1006),
        ((frame(TEXT, b"\xff", fin=False), frame(CONT)), 1006),
        ((frame(TEXT, b"a", fin=False), frame(TEXT, b"b")), 1006),
        ((frame(CONT, b"a"),), 1006),
        ((frame(TEXT, b"a", reserved=4),), 1006),
        ((frame(0x3, b"a"),), 1006),
        ((frame(PING, fin=False),), 1006),
        ((bytes([0x81, 127]) + struct.pack("!Q", upstream.MAX_EVENT_BYTES + 1),), 1006),
    ],
    ids=lambda value: value if isinstance(value, int) else value[0][:8].hex(),
)
async def test_the_end_has_the_servers_code_or_the_one_of_a_broken_connection(
    dial: Open, pieces: tuple[bytes, ...], code: int
) -> None:
    async with server(saying("{}", *pieces)) as target:
        heard, end = await all_of(await dial(target, 5.0))
    assert (heard, end.code) == (["{}"], code)
    assert ("gone" in str(end)) is (code == 4_000)


@pytest.mark.parametrize(("pieces", "heard"), [(1_000, ["{}"]), (100_000, [])])
async def test_a_message_may_have_many_pieces_and_not_any_number(dial: Open, pieces: int, heard: list[str]) -> None:
    said = frame(TEXT, b"{", fin=False) + frame(CONT, fin=False) * (pieces - 2) + frame(CONT, b"}")
    async with server(saying(said, frame(CLOSE, b"\x03\xe8"))) as target:
        assert (await all_of(await dial(target, 5.0)))[0] == heard


async def test_pieces_of_a_message_have_the_bound_of_a_whole_one(dial: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("connection", "picows_connection"):
        with suppress(ImportError):
            monkeypatch.setattr(f"gateway.upstream.{module}.MAX_EVENT_BYTES", 100)
    pieces = frame(TEXT, b"x" * 60, fin=False) + frame(CONT, b"x" * 60)
    async with server(saying(pieces)) as target:
        heard, end = await all_of(await dial(target, 5.0))
    assert (heard, end.code) == ([], 1006)


async def test_a_connection_that_breaks_ends_without_a_code(dial: Open) -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with server(vanish) as target:
        _, end = await all_of(await dial(target, 5.0))
    assert end.code == 1006


async def test_a_connection_that_is_dropped_wakes_its_receiver(dial: Open) -> None:
    async with server(saying()) as target:
        line = await dial(target, 5.0)
        receiving = asyncio.create_task(all_of(line))
        await asyncio.sleep(0)
        line.abort()
        assert (await receiving)[1].code == 1006


async def test_a_server_that_answers_no_ping_is_given_up(dial: Open) -> None:
    async def stand_still(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with server(stand_still, close_timeout=0.1) as target:
        line = await dial(Target(target.url, {}, Quirks(ping_seconds=0.05, pong_seconds=0.1)), 5.0)
        assert (await all_of(line))[1].code == 1006


async def test_a_server_that_answers_pings_is_kept(dial: Open) -> None:
    pings = asyncio.Queue[None]()

    async def count(connection: ServerConnection) -> None:
        process_event = connection.process_event

        def process(event: Any) -> None:
            if event.opcode == PING:
                pings.put_nowait(None)
            process_event(event)

        connection.process_event = process  # type: ignore[method-assign]
        await connection.wait_closed()

    async with server(count) as target:
        line = await dial(Target(target.url, {}, Quirks(ping_seconds=0.02, pong_seconds=10.0)), 5.0)
        for _ in range(3):
            await pings.get()
        assert line.is_free
        await line.close()


async def test_a_pong_that_lies_behind_what_is_not_read_yet_is_waited_for(dial: Open) -> None:
    """As where a client takes a long answer more slowly than the server says it."""
    said = [f"{number} {'x' * 100_000}" for number in range(30)]
    async with server(saying(*said, frame(CLOSE, b"\x03\xe8"))) as target:
        line = await dial(Target(target.url, {}, Quirks(ping_seconds=0.02, pong_seconds=0.3)), 5.0)
        await asyncio.sleep(0.8)  # the session is held up for longer than a pong is waited for
        heard, end = await all_of(line)
    assert (len(heard), end.code) == (30, 1000)


# — servers that take nothing —


@asynccontextmanager
async def deaf_server() -> AsyncIterator[Target]:
    """It completes the upgrade, and reads nothing after that."""
    done = asyncio.Event()

    async def stand_still(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await done.wait()
        connection.transport.abort()

    async with server(stand_still) as target:
        try:
            yield target
        finally:
            done.set()


async def send_until_it_is_noticed(line: Upstream) -> None:
    while True:
        await line.send(A_LOT)


async def test_a_server_that_reads_nothing_is_given_up(dial: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "SEND_SECONDS", 0.2)
    async with deaf_server() as target:
        line = await dial(target, 5.0)
        with pytest.raises(UpstreamClosed):
            await send_until_it_is_noticed(line)
        with pytest.raises(UpstreamClosed):
            await line.receive()
        await line.close()


async def test_a_goodbye_to_a_server_that_reads_nothing_has_a_bound(
    dial: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "CLOSE_SECONDS", 0.1)
    async with deaf_server() as target:
        line = await dial(target, 5.0)
        sending = [asyncio.create_task(line.send(A_LOT)) for _ in range(20)]
        await asyncio.sleep(0)
        await line.close()
        for outcome in await asyncio.gather(*sending, return_exceptions=True):
            assert outcome is None or isinstance(outcome, UpstreamClosed)


async def test_a_goodbye_that_is_cancelled_ends_the_connection_all_the_same(dial: Open) -> None:
    told, over = asyncio.Event(), asyncio.Event()

    def swallow(data: bytes) -> None:
        told.set()

    async def answer_nothing(connection: ServerConnection) -> None:
        connection.data_received = swallow  # type: ignore[method-assign]
        await connection.send("{}")
        await connection.wait_closed()
        over.set()

    async with server(answer_nothing) as target:
        line = await dial(target, 5.0)
        assert await line.receive() == "{}"
        closing = asyncio.create_task(line.close())
        await told.wait()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await over.wait()
