"""Frames that pass go around ASGI, on a real server: in their order, and with every limit of the wire."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
import uvicorn
from starlette.websockets import WebSocket
from websockets.http11 import Request

from gateway.close_codes import RATE_LIMITED
from gateway.server import uvicorn_protocols
from gateway.server.uvicorn_protocols import WireSocket
from gateway.session import client_connection
from gateway.session.client_connection import ClientConnection, ClientGone
from tests.wire import CLOSE, CONT, PATIENCE, PING, PONG, TEXT, all_of, close_code, frame, frames_in, pour, upgraded

pytestmark = pytest.mark.loopback


class Relay:
    """An application that lets frames pass which begin with `pass`, and reads the others."""

    def __init__(self, protocol: type[WireSocket]) -> None:
        self.protocol = protocol
        self.heard: list[tuple[str, str]] = []
        self.reason = ""
        self.has_ended = Event()
        self.says: list[str] = []
        """What it says to the client first, at once where it can."""
        self.wrote = 0
        self.burst = 1
        """Of so many it writes one, and holds the others."""

    async def __call__(
        self, scope: dict[str, object], receive: Callable[..., object], send: Callable[..., object]
    ) -> None:
        client = ClientConnection(WebSocket(scope, receive, send))  # type: ignore[arg-type]
        await client.accept(None)
        try:
            for number, text in enumerate(self.says):
                if number % self.burst:
                    await client.hold_text(text)
                elif client.is_free:
                    client.write(text)
                    self.wrote += 1
                else:
                    await client.send_text(text)
            await client.flush()
            while True:
                frame = await client.receive(self._passes)
                self.heard.append(("read", str(frame)))
                assert not client._wire.passes, "nothing passes while a frame is worked on"
        except ClientGone as gone:
            self.reason = str(gone)
        self.has_ended.set()

    def _passes(self, text: str) -> bool:
        if text.startswith("pass"):
            self.heard.append(("passed", text))
            return True
        return False


@pytest.fixture
def relay(socket_protocol: type[WireSocket]) -> Relay:
    return Relay(socket_protocol)


@contextmanager
def serving(relay: Relay) -> Iterator[int]:
    config = uvicorn.Config(
        relay,
        lifespan="off",
        log_config=None,
        ws_max_size=4_096,
        loop="uvloop",
        http=uvicorn_protocols.WireHttp,
        ws=relay.protocol,
        ws_per_message_deflate=False,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1_024)
        thread = Thread(target=lambda: server.run(sockets=[listener]))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


GOODBYE = frame(CLOSE, b"\x03\xe8")


def heard_of(relay: Relay, *frames: bytes, at_once: bool) -> list[tuple[str, str]]:
    """What the application heard of these frames, in one packet or one after the other."""
    with serving(relay) as port, upgraded(port) as talk:
        for piece in [b"".join((*frames, GOODBYE))] if at_once else [*frames, GOODBYE]:
            pour(talk, piece)
        all_of(talk)
        assert relay.has_ended.wait(PATIENCE)
    return relay.heard


@pytest.mark.parametrize("at_once", [True, False], ids=["in one packet", "one by one"])
def test_frames_come_in_their_order_whichever_way_they_take(relay: Relay, at_once: bool) -> None:
    said = [f"{'pass' if number % 3 else 'read'} {number}" for number in range(60)]
    heard = heard_of(relay, *(frame(TEXT, text.encode()) for text in said), at_once=at_once)
    assert [text for _, text in heard] == said
    assert {text for way, text in heard if way == "passed"} <= {text for text in said if text.startswith("pass")}
    assert {text for way, text in heard if way == "read"} >= {text for text in said if text.startswith("read")}


def test_a_frame_passes_while_the_application_waits_for_one(relay: Relay) -> None:
    assert heard_of(relay, frame(TEXT, b"pass"), at_once=False) == [("passed", "pass")]
    assert relay.reason == "client_closed_1000"


def test_no_frame_passes_after_the_clients_goodbye(relay: Relay) -> None:
    said = frame(TEXT, b"pass"), GOODBYE, frame(TEXT, b"pass too late")
    assert heard_of(relay, *said, at_once=True) == [("passed", "pass")]


def test_a_frame_in_fragments_passes_whole(relay: Relay) -> None:
    pieces = frame(TEXT, b"pa", fin=False), frame(PING), frame(CONT, b"ss \xc3", fin=False), frame(CONT, b"\xa9")
    assert heard_of(relay, *pieces, at_once=True) == [("passed", "pass é")]


def test_text_that_is_no_utf8_ends_the_connection(relay: Relay) -> None:
    with serving(relay) as port, upgraded(port) as talk:
        pour(talk, frame(TEXT, b"pass \xff"))
        assert close_code(talk) == 1_007
        assert relay.has_ended.wait(PATIENCE)
    assert (relay.heard, relay.reason) == ([], "client_closed_1007")


def test_frames_that_pass_have_the_limits_of_all(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_protocols, "FRAMES_BURST", 10.0)
    with serving(relay) as port, upgraded(port) as talk:
        pour(talk, frame(TEXT, b"pass") * 50)
        assert close_code(talk) == RATE_LIMITED
        assert relay.has_ended.wait(PATIENCE)
    assert len(relay.heard) <= 11


def test_what_the_application_says_is_written_at_once_and_in_order(relay: Relay) -> None:
    relay.says = [f"é {number}" for number in range(100)]
    with serving(relay) as port, upgraded(port) as talk:
        pour(talk, frame(PING) + GOODBYE)
        said = [content.decode() for kind, content in frames_in(all_of(talk)) if kind not in (PONG, CLOSE)]
    assert (said, relay.wrote) == (relay.says, 100)


def test_what_is_held_is_written_in_order_with_what_passes(relay: Relay) -> None:
    relay.says, relay.burst = [f"é {number}" * (1 + number * 30) for number in range(100)], 3
    with serving(relay) as port, upgraded(port) as talk:
        pour(talk, frame(PING) + GOODBYE)
        said = [content.decode() for kind, content in frames_in(all_of(talk)) if kind not in (PONG, CLOSE)]
    assert said == relay.says


def test_what_a_client_has_shown_to_be_let_in_is_forgotten() -> None:
    sockets = pytest.importorskip("gateway.server.picows_socket", reason="the extra `fast` is not installed")
    relay, token = Relay(sockets.PicowsSocket), "Bearer that of this test alone"
    relay.says = ["welcome"]
    with serving(relay) as port, upgraded(port, f"Authorization: {token}") as talk:
        assert talk.recv(2 + len("welcome")).endswith(b"welcome")
        kept = [
            each for each in gc.get_objects() if type(each) is Request and each.headers.get("authorization") == token
        ]
        pour(talk, GOODBYE)
        assert relay.has_ended.wait(PATIENCE)
    assert kept == []


def test_a_client_that_reads_nothing_is_given_up(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connection, "SEND_SECONDS", 0.2)
    relay.says = ["x" * 100_000] * 1_000
    with serving(relay) as port, upgraded(port):
        assert relay.has_ended.wait(PATIENCE)
    assert relay.reason == "client_too_slow"
    assert relay.wrote < len(relay.says)
