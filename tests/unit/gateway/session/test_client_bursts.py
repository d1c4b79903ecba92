"""What a client gets of a burst is held, and written together, in order, whatever comes between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.websockets import WebSocketState

from gateway.conversation.actions import Action, SendToClient, SendToModel
from gateway.session import client_connection
from gateway.session.client_connection import WIRE, ClientConnection, ClientGone
from gateway.session.effects import EffectExecutor
from tests.session_parts import NONE, gateway_context, session_state

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Socket:
    """A client's socket, which notes what is written in one system call, and what goes by ASGI."""

    application_state = WebSocketState.CONNECTED
    passes = None

    def __init__(self) -> None:
        self.scope = {"extensions": {WIRE: self}}
        self.is_free = True
        self.wrote: list[list[str]] = []
        self.by_asgi: list[str] = []
        self.reads = asyncio.Event()
        self.reads.set()

    def write(self, text: str) -> None:
        self.wrote.append([text])

    def write_all(self, texts: Sequence[str]) -> None:
        self.wrote.append(list(texts))

    async def send_text(self, text: str) -> None:
        await self.reads.wait()
        self.by_asgi.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.wrote.append([f"closed {code} {reason}"])


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
def client(socket: Socket) -> ClientConnection:
    given: Any = socket
    return ClientConnection(given)


async def test_what_is_held_is_written_in_one_system_call(socket: Socket, client: ClientConnection) -> None:
    await client.hold({"type": "a"})
    await client.hold_text("b")
    assert socket.wrote == []
    await client.flush()
    await client.flush()
    assert socket.wrote == [['{"type":"a"}', "b"]]


async def test_what_passes_overtakes_nothing(socket: Socket, client: ClientConnection) -> None:
    await client.hold_text("a")
    client.write("b")
    await client.send_text("c")
    client.write("d")
    assert socket.wrote == [["a", "b", "c"], ["d"]]


async def test_what_is_held_goes_out_before_the_connection_closes(socket: Socket, client: ClientConnection) -> None:
    await client.hold_text("a")
    await client.close(1000, "bye")
    assert socket.wrote == [["a"], ["closed 1000 bye"]]


async def test_a_client_that_takes_nothing_now_holds_up_its_sender(socket: Socket, client: ClientConnection) -> None:
    await client.hold_text("a")
    socket.is_free = False
    socket.reads.clear()
    sending = asyncio.create_task(client.hold_text("b"))
    await asyncio.sleep(0)
    assert not sending.done()
    socket.reads.set()
    await sending
    assert (socket.wrote, socket.by_asgi) == ([], ["a", "b"])


async def test_a_client_that_takes_nothing_for_long_is_given_up(
    socket: Socket, client: ClientConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "SEND_SECONDS", 0.01)
    await client.hold_text("a")
    socket.is_free = False
    socket.reads.clear()
    with pytest.raises(ClientGone, match="client_too_slow"):
        await client.flush()


async def test_each_frame_is_counted_once(
    socket: Socket, client: ClientConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = SimpleNamespace(frames=0, bytes=0)
    monkeypatch.setattr(client_connection, "TO_CLIENT", counted)
    await client.hold_text("four")
    client.write("four")
    await client.flush()
    client.write("four")
    assert (counted.frames, counted.bytes) == (3, 12)


class Server:
    """A model's server that takes nothing for now."""

    is_free = False

    def __init__(self) -> None:
        self.is_asked, self.takes = asyncio.Event(), asyncio.Event()

    async def send(self, _text: str) -> None:
        self.is_asked.set()
        await self.takes.wait()


async def test_what_is_held_for_a_client_waits_for_no_server(socket: Socket, client: ClientConnection) -> None:
    """Audio that comes meanwhile would be held behind it."""
    server = Server()
    link: Any = SimpleNamespace(upstream=server, guard=None)
    effects = EffectExecutor(gateway_context(), session_state(), client, NONE)
    actions: list[Action] = [SendToClient({"type": "a"}), SendToModel({"type": "b"})]
    executing = asyncio.create_task(effects.execute(link, actions))
    await server.is_asked.wait()
    client.write("audio")
    assert socket.wrote == [['{"type":"a"}'], ["audio"]]
    server.takes.set()
    await executing
