"""The control door: who may use it, and what each order does to a connection over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.scripting.scenario import load
from simulator.server.control import Control, may_control
from simulator.server.server import NO_SPEECH, Simulator

pytestmark = pytest.mark.loopback

# Far above what a conversation takes; it only ends a test that would wait for ever.
PATIENCE_S = 20


def controlled() -> Simulator:
    return Simulator(load("demo"), speech=NO_SPEECH, control=Control())


def against(simulator: Simulator, visit: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), simulator.serving():
            await visit()

    asyncio.run(run())


async def order(simulator: Simulator, **query: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"http://127.0.0.1:{simulator.port}/control", params=query)


@asynccontextmanager
async def connected(simulator: Simulator) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """A connection, and the session it was greeted with."""
    async with connect(simulator.url) as socket:
        yield socket, json.loads(await socket.recv())["session"]


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012])
def test_a_connection_is_dropped_with_any_code_and_others_live_on(code: int) -> None:
    simulator = controlled()

    async def visit() -> None:
        async with connected(simulator) as (first, _), connected(simulator) as (second, _):
            answer = await order(simulator, do="drop", code=code, connection=1)
            assert answer.json() == {"connections": [1]}
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == code
            await (await first.ping())

    against(simulator, visit)


def test_all_connections_are_cut_in_the_middle_of_a_frame() -> None:
    simulator = controlled()

    async def visit() -> None:
        async with connected(simulator) as (first, _), connected(simulator) as (second, _):
            await order(simulator, do="cut")
            for socket in (first, second):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
                assert socket.close_code == 1006

    against(simulator, visit)


def test_a_connection_that_hangs_answers_pings_and_nothing_else() -> None:
    simulator = controlled()

    async def visit() -> None:
        async with connected(simulator) as (socket, _):
            await order(simulator, do="hang")
            await socket.send('{"type": "response.create"}')
            await (await socket.ping())  # the frame before it was read
            await order(simulator, do="drop", code=1001)
            with pytest.raises(ConnectionClosed):
                await socket.recv()

    against(simulator, visit)


def test_a_half_open_connection_reads_nothing() -> None:
    simulator = controlled()

    async def visit() -> None:
        async with connected(simulator) as (socket, _):
            await order(simulator, do="blackhole")
            pong = asyncio.ensure_future(await socket.ping())
            await order(simulator, do="refuse", times=0)  # as good as any other round trip
            assert not pong.done()
            socket.transport.abort()

    against(simulator, visit)


def test_a_session_can_be_made_to_expire_and_the_next_one_to_live_shorter() -> None:
    simulator = controlled()

    async def visit() -> None:
        async with connected(simulator) as (socket, before):
            await order(simulator, do="knobs", lifetime_ms=1000)
            await order(simulator, do="expire")
            assert json.loads(await socket.recv())["error"]["code"] == "session_expired"
        async with connected(simulator) as (_, after):
            assert after["expires_at"] < before["expires_at"] - 3000

    against(simulator, visit)


def test_further_connections_are_refused_as_often_as_told() -> None:
    simulator = controlled()

    async def visit() -> None:
        await order(simulator, do="refuse", status=429, times=2)
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(simulator.url)
            assert refusal.value.response.status_code == 429
        async with connected(simulator):
            pass

    against(simulator, visit)


def test_the_open_connections_are_listed() -> None:
    simulator = controlled()

    async def visit() -> None:
        async with connected(simulator) as (_, session), httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{simulator.port}/control")
            shown = {"session": session["id"], "expires_at": session["expires_at"]}
            assert answer.json() == {"connections": {"0": shown}}

    against(simulator, visit)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({}, "do: "),
        ({"do": "dance"}, "do: "),
        ({"do": "drop", "code": "1002"}, "code: "),
        ({"do": "drop", "connection": "some"}, "connection"),
        ({"do": "knobs", "no_such_knob": "1"}, "no_such_knob: "),
    ],
)
def test_a_wrong_order_is_refused_with_a_sentence(query: dict[str, str], complaint: str) -> None:
    control = Control()
    status, body = control.answer("POST", str(httpx.URL("/control", params=query)))
    assert status == 400
    assert complaint in json.loads(body)["error"]
    assert control.turned(load("demo")) == load("demo")


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("192.0.2.7", {}, False),
        ("127.0.0.1", {"Origin": "null"}, False),
        ("127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_only_programs_on_this_machine_may_control(host: str, headers: dict[str, str], expected: bool) -> None:
    assert may_control(host, headers) is expected


def test_a_web_page_is_turned_away() -> None:
    simulator = controlled()

    async def visit() -> None:
        async with httpx.AsyncClient(trust_env=False, headers={"Origin": "http://localhost"}) as client:
            answer = await client.post(f"http://127.0.0.1:{simulator.port}/control?do=drop")
        assert answer.status_code == 403

    against(simulator, visit)


def test_there_is_no_such_door_unless_asked_for() -> None:
    simulator = Simulator(load("demo"), speech=NO_SPEECH)

    async def visit() -> None:
        assert (await order(simulator, do="drop")).status_code == 404

    against(simulator, visit)
