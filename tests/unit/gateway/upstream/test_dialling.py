"""A server that does not take the connection is told apart, whichever library asked it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from cli.local_stack.certificate import certificate_in
from gateway.upstream import providers
from gateway.upstream.connection import Target, Upstream, UpstreamRefused, WebSocketUpstream
from tests.unit.gateway.upstream.serving import Open, raw_server, server

pytestmark = [pytest.mark.anyio, pytest.mark.loopback]


@pytest.mark.parametrize("status", [302, 401, 404, 429, 503, 599])
async def test_a_refusal_has_its_status_and_no_redirect_is_followed(dial: Open, status: int) -> None:
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} No\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with raw_server(refuse) as target:
        with pytest.raises(UpstreamRefused) as refused:
            await dial(target, 5.0)
    assert (refused.value.status, str(refused.value)) == (status, f"HTTP {status}")
    assert asked == (2 if status == 599 and "Picows" in repr(dial) else 1), "a number that picows does not know"


@pytest.mark.parametrize("answer", [b"", b"220 mail.example.com\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\n"])
async def test_a_server_that_speaks_otherwise_has_refused(dial: Open, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with raw_server(speak) as target:
        with pytest.raises(UpstreamRefused) as refused:
            await dial(target, 5.0)
    assert refused.value.status is None


async def test_a_server_that_keeps_more_than_the_upgrade_alive_is_understood(dial: Open) -> None:
    async def answer(connection: ServerConnection) -> None:
        await connection.send("{}")
        await connection.wait_closed()

    def both(_connection: ServerConnection, _request: Any, response: Any) -> None:
        del response.headers["Connection"]
        response.headers["Connection"] = "keep-alive, Upgrade"

    async with server(answer, process_response=both) as target:
        line = await dial(target, 5.0)
        assert await line.receive() == "{}"
        await line.close()


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["in time", "until its session ends"])
async def test_a_server_that_does_not_answer_is_waited_for(dial: Open, is_cancelled: bool) -> None:
    dialled, hung_up = asyncio.Event(), asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.set()
        await reader.read(-1)
        hung_up.set()
        writer.close()

    async with raw_server(be_silent) as target:
        dialling = asyncio.ensure_future(dial(target, 0.3))
        await dialled.wait()
        if is_cancelled:
            dialling.cancel()
        with pytest.raises(asyncio.CancelledError if is_cancelled else UpstreamRefused):
            await dialling
        await hung_up.wait()


async def test_a_dial_that_is_cancelled_as_it_connects_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    picows = pytest.importorskip("gateway.upstream.picows_connection", reason="the extra `fast` is not installed")
    connected, over = picows.PicowsUpstream.on_ws_connected, asyncio.Event()

    def hang_up(line: Any, transport: Any) -> None:
        connected(line, transport)
        dialling.cancel()

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        over.set()

    monkeypatch.setattr(picows.PicowsUpstream, "on_ws_connected", hang_up)
    async with server(wait) as target:
        dialling = asyncio.ensure_future(picows.PicowsUpstream.open(target, 5.0))
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await over.wait()


async def test_no_one_listening_is_a_refusal(dial: Open) -> None:
    with pytest.raises(UpstreamRefused) as refused:
        await dial(Target("ws://127.0.0.1:1/", {}), 5.0)
    assert refused.value.status is None


async def greet(connection: ServerConnection) -> None:
    await connection.send("{}")
    await connection.wait_closed()


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_certificate_is_verified(
    dial: Open, is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate_in(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    async with server(greet, context) as target:
        if is_trusted:
            line = await dial(target, 5.0)
            assert await line.receive() == "{}"
            await line.close()
        else:
            with pytest.raises(UpstreamRefused, match="SSL"):
                await dial(target, 5.0)


async def echo(connection: ServerConnection) -> None:
    async for said in connection:
        await connection.send(said)


async def test_what_is_larger_than_a_record_of_tls_goes_both_ways(
    dial: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said = certificate_in(tmp_path), [f"{number} {'é' * 7_000 * number}" for number in range(20)]
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    async with server(echo, context) as target:
        line = await dial(target, 5.0)
        for event in said:
            await line.send(event)
        assert [await line.receive() for _ in said] == said
        await line.close()


async def test_connections_share_what_they_know_of_certificates(
    dial: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, contexts = certificate_in(tmp_path), list[ssl.SSLContext]()
    create = ssl.create_default_context

    def counted(*args: Any, **options: Any) -> ssl.SSLContext:
        contexts.append(create(*args, **options))
        return contexts[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    async with server(greet, context) as target:
        for _ in range(2):
            await (await dial(target, 5.0)).close()
    assert len(contexts) == 1


@pytest.mark.parametrize(
    ("url", "proxy", "is_installed", "library"),
    [
        ("wss://voices.example.com/", None, True, "picows"),
        ("wss://voices.example.com/", None, False, "websockets"),
        ("wss://voices.example.com/", "http://proxy.example.com:3128", True, "websockets"),
        ("ws://127.0.0.1:8090/", "http://proxy.example.com:3128", True, "picows"),
        ("ws://ann:secret@127.0.0.1:8090/", None, True, "websockets"),
    ],
)
async def test_picows_connects_where_it_is_installed_and_can(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None, is_installed: bool, library: str
) -> None:
    chosen: list[str] = []

    def by(name: str) -> Open:
        async def connect(_target: Target, _within: float) -> Upstream:
            chosen.append(name)
            raise UpstreamRefused(name)

        return connect

    monkeypatch.setattr("ringback.config.proxies.getproxies", lambda: {"https": proxy} if proxy else {"no": "x"})
    monkeypatch.setattr(providers, "_fast", lambda: by("picows") if is_installed else None)
    monkeypatch.setattr(WebSocketUpstream, "open", by("websockets"))
    with pytest.raises(UpstreamRefused):
        await providers.connect(Target(url, {}), 1.0)
    assert chosen == [library]
