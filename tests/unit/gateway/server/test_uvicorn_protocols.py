"""The server's limits on the wire, with a real server in front of an application that answers everything."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
import uvicorn

from gateway.server import uvicorn_protocols
from gateway.server.uvicorn_protocols import WireSocket
from gateway.token_bucket import TokenBucket
from tests.wire import (
    CLOSE,
    CONT,
    KEY,
    PATIENCE,
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

pytestmark = pytest.mark.loopback


class Heard:
    """What came through to the application."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self.has_ended = Event()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def port(heard: Heard, socket_protocol: type[WireSocket], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a server that is less patient than the gateway's, so that the tests are fast."""
    monkeypatch.setattr(uvicorn_protocols, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(uvicorn_protocols, "BODY_SECONDS", 0.6)
    with serving(heard, ws=socket_protocol) as port:
        yield port


async def say_ok(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(heard: Heard, **more: Any) -> Iterator[int]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await (wait(receive) if scope["query_string"] == b"wait" else hold(receive, send))
        else:
            await (say_ok(send) if scope["path"] == "/early" else answer(receive, send))

    async def wait(receive: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            heard.messages.append(message)
        heard.has_ended.set()

    async def hold(receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            heard.messages.append(message)
        heard.messages.append(message)
        heard.has_ended.set()

    async def answer(receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        heard.bodies.append(body)
        await say_ok(send)

    settings: dict[str, Any] = {
        "http": uvicorn_protocols.WireHttp,
        "ws": uvicorn_protocols.WireSocket,
        "ws_per_message_deflate": False,
        **more,
    }
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws_max_size=4_096, loop="uvloop", **settings)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=lambda: server.run(sockets=[listener]))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


# — requests —


def test_whoever_says_nothing_is_hung_up_on_without_a_word(port: int) -> None:
    assert ask(port) == b""


def test_a_head_that_comes_in_drops_is_not_waited_for(port: int, heard: Heard) -> None:
    assert ask(port, b"GET / HT", b"TP/1.1\r\nHost: here\r\nX-A").startswith(b"HTTP/1.1 408 ")
    assert heard.bodies == []


def test_nor_is_a_second_one_on_the_same_connection(port: int, heard: Heard) -> None:
    with dial(port) as talk:
        talk.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        first = talk.recv(4_096)
        talk.sendall(b"GET /again HTTP/1.1\r\nHo")
        said = first + all_of(talk)
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 408 ")) == (1, 1)
    assert heard.bodies == [b""]


SECOND = pytest.mark.parametrize(
    "second",
    [b"GET /again HTTP/1.1\r\nHo", b"POST /again HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["half a head", "half a body"],
)


@SECOND
def test_nor_is_one_that_begins_in_the_same_packet(port: int, heard: Heard, second: bytes) -> None:
    said = ask(port, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + second)
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 408 ")) == (1, 1)
    assert heard.bodies == [b""]


@SECOND
def test_it_is_answered_although_uvicorn_would_wait_less_for_another_request(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, second: bytes
) -> None:
    monkeypatch.setattr(uvicorn_protocols, "HEAD_SECONDS", 0.6)
    monkeypatch.setattr(uvicorn_protocols, "BODY_SECONDS", 0.6)
    with serving(heard, timeout_keep_alive=0.1) as port:
        said = ask(port, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + second)
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 408 ")) == (1, 1)


def test_a_body_that_drips_behind_its_answer_is_not_waited_for(port: int) -> None:
    with dial(port) as talk:
        talk.sendall(b"POST /early HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\na")
        assert talk.recv(4_096).startswith(b"HTTP/1.1 200 ")
        talk.sendall(b"b")
        assert b"HTTP/1.1" not in all_of(talk)


def test_nor_is_a_body(port: int, heard: Heard) -> None:
    said = ask(port, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n", b"abc")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"Send the body of a request without pauses." in said


def test_a_websocket_outlives_the_time_that_a_request_has(port: int) -> None:
    """h11 waits for the end of the request for as long as it lasts; we do not."""
    with upgraded(port) as talk:
        late = ask(port, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n")
        assert b" 408 " in late, "a body that was waited for from later on is waited for no more"
        talk.sendall(frame(PING, b"still there?"))
        assert talk.recv(64) == bytes([0x80 | PONG, 12]) + b"still there?"


def test_a_request_in_two_pieces_is_answered(port: int, heard: Heard) -> None:
    close = b"Connection: close\r\n"
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n" + close + b"\r\n"
    assert ask(port, head[:20], head[20:], b"abc", b"def").startswith(b"HTTP/1.1 200 ")
    assert heard.bodies == [b"abcdef"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nHost: there\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nA : b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked, identity\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: here\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nA: " + b"b" * 15_000 + b"\r\n\r\n", b"431"),
        (upgrade("Authorization: Bearer " + "x" * 9_000), b"431"),
        (upgrade("Content-Length: 9") + b"smuggled!", b"400"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nA: " + b"b" * 1_000_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (
            b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n") * 2,
            b"413",
        ),
    ],
    ids=range(17),
)
def test_what_is_no_request_or_too_much_of_one_is_refused_and_hung_up_on(
    port: int, heard: Heard, request_: bytes, status: bytes
) -> None:
    said = ask(port, request_)
    assert said.startswith(b"HTTP/1.1 " + status) or (status != b"400" and said == b""), said[:200]
    assert heard.bodies == [], "the application has not read it"


def test_tls_at_the_plain_port_is_told_to_the_operator_once_in_a_while(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uvicorn_protocols.WireHttp, "_tls_lines", TokenBucket(rate=0.0, burst=1))
    for _ in range(3):
        ask(port, b"\x16\x03\x01\x02\x00\x01\x00\x01")
    told = [record.getMessage() for record in caplog.records if record.name == "gateway.server.uvicorn_protocols"]
    assert len(told) == 1
    assert told[0].startswith("a client began TLS at this port, which speaks plain HTTP")
    assert "RINGBACK_TLS_CERTIFICATE" in told[0]


def test_what_is_refused_is_told_in_a_sentence(port: int) -> None:
    said = ask(port, b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert b"There is no WebSocket here; it is at /v1/realtime." in said
    assert b"content-type: application/json" in said.lower()


# — frames —


@pytest.mark.parametrize(
    "frames",
    [
        frame(PING) * 1_000,
        frame(PONG) * 1_000,
        frame(PING, b"x" * 125) * 1_000,
        frame(TEXT) * 1_000,
        frame(TEXT, b"{}") * 4_000,
        frame(TEXT, b"x", fin=False) + frame(PING) * 3_000,
    ],
)
def test_a_flood_of_frames_that_say_little_is_hung_up_on(port: int, heard: Heard, frames: bytes) -> None:
    began = monotonic()
    with upgraded(port) as talk:
        pour(talk, frames, 20)
        assert close_code(talk) == 4029
    assert heard.has_ended.wait(PATIENCE)
    assert heard.messages[-1]["code"] == 4029
    may_pass = uvicorn_protocols.FRAMES_BURST + uvicorn_protocols.FRAMES_PER_SECOND * (monotonic() - began)
    assert len(heard.messages) <= may_pass + 1, "and the end"


def test_fragments_are_counted_and_not_gathered(port: int, heard: Heard) -> None:
    with upgraded(port) as talk:
        pour(talk, frame(TEXT, b"x", fin=False) + frame(CONT, b"x", fin=False) * 10_000, 1)
        assert close_code(talk) == 1009
    assert heard.has_ended.wait(PATIENCE)
    assert [message["type"] for message in heard.messages] == ["websocket.disconnect"]


def test_a_message_in_a_few_fragments_with_a_ping_between_them_arrives(port: int, heard: Heard) -> None:
    pieces = [frame(TEXT, b"a", fin=False), frame(PING, b"?"), frame(CONT, b"b", fin=False), frame(CONT, b"c")]
    with upgraded(port) as talk:
        for piece in pieces:
            talk.sendall(piece)
        talk.sendall(frame(CLOSE, struct.pack("!H", 1000)))
        assert close_code(talk) == 1000
    assert heard.messages[0]["text"] == "abc"


def test_a_frame_that_is_declared_too_long_is_refused_before_it_comes(port: int) -> None:
    with upgraded(port) as talk:
        talk.sendall(bytes([0x81, 0xFF]) + struct.pack("!Q", 2 << 30))
        assert close_code(talk) == 1009


def test_a_compressed_frame_is_refused_though_it_was_offered(port: int, heard: Heard) -> None:
    with upgraded(port, "Sec-WebSocket-Extensions: permessage-deflate") as talk:
        talk.sendall(frame(TEXT, b"\xaa\x00", reserved=0b100))
        assert close_code(talk) == 1002
    assert heard.has_ended.wait(PATIENCE)


def test_whoever_talks_before_they_are_let_in_is_hung_up_on(port: int, heard: Heard) -> None:
    with dial(port) as talk:
        talk.sendall(upgrade(target="/v1/realtime?wait"))
        pour(talk, frame(TEXT, b"early") * 100, 100_000)
        assert all_of(talk) == b""
    assert heard.has_ended.wait(PATIENCE)
    assert heard.messages == [{"type": "websocket.connect"}]


# — how much at once —


def test_of_a_crowd_at_the_door_those_who_come_later_are_told_to_come_later(
    port: int, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_protocols, "MAX_AT_THE_DOOR", 2)
    lines = ["GET /v1/realtime?wait HTTP/1.1", "Host: here", "Connection: Upgrade", "Upgrade: websocket"]
    wish = "\r\n".join([*lines, f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", "", ""]).encode()
    with upgraded(port), upgraded(port), upgraded(port):  # accepted ones do not count
        with knocking(port, wish), knocking(port, wish):
            while len(uvicorn_protocols.WireSocket.at_the_door) < 2:
                pass
            said = ask(port, wish)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in said.lower()
        assert heard.has_ended.wait(PATIENCE)
        while uvicorn_protocols.WireSocket.at_the_door:
            pass
        with upgraded(port):
            pass


@contextmanager
def knocking(port: int, wish: bytes) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as talk:
        talk.sendall(wish)
        yield
