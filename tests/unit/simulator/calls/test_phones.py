"""A phone rings: the webhook is told as documented, and the call does what its receiver decides."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.calls.webhooks import key_of, signed
from simulator.server.server import Simulator
from tests.receiver import Posted, Receiver, receiving
from tests.unit.simulator.calls.placing import Party, against, beside, quiet

pytestmark = pytest.mark.loopback

SECRET = "whsec_" + base64.b64encode(b"a shared secret of bytes").decode()


@asynccontextmanager
async def ringing(simulator: Simulator, receiver: Receiver, **order: Any) -> AsyncIterator[tuple[Party, str, Posted]]:
    """A phone that has dialled, its call's id, and the webhook of it."""
    async with connect(f"ws://127.0.0.1:{simulator.port}/control/phone", max_queue=None) as socket:
        phone = Party(socket)
        await phone.send("dial", webhook=receiver.url, secret=SECRET, **order)
        call_id = (await phone.until("ringing"))["call_id"]
        yield phone, call_id, await asyncio.to_thread(receiver.next)


def test_the_webhook_is_signed_and_names_the_call_and_the_callers_headers() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with ringing(simulator, receiver, headers={"From": "sip:+15550123@x"}) as (_, call_id, posted):
            event = posted.event
            assert (event["type"], event["object"]) == ("realtime.call.incoming", "event")
            assert event["data"]["call_id"] == call_id
            assert {"name": "From", "value": "sip:+15550123@x"} in event["data"]["sip_headers"]
            timestamp = int(posted.headers["webhook-timestamp"])
            expected = signed(key_of(SECRET), posted.message_id, timestamp, posted.body)
            assert posted.headers["webhook-signature"] == expected["webhook-signature"]

    with receiving() as receiver:
        against(simulator, visit)


def test_an_accepted_call_has_a_sideband_and_a_session() -> None:
    simulator = quiet(scenario="turns: [{hears: ., says: Hello.}]")

    async def visit(client: httpx.AsyncClient) -> None:
        async with ringing(simulator, receiver) as (phone, call_id, _):
            with pytest.raises(InvalidStatus):
                await connect(f"{simulator.url}?call_id={call_id}")
            answer = await client.post(
                f"/v1/realtime/calls/{call_id}/accept", json={"type": "realtime", "instructions": "Be brief."}
            )
            assert (answer.status_code, answer.content) == (200, b"")
            await phone.until("answered")
            async with beside(simulator, call_id) as server:
                await server.send("response.create", response={"instructions": 'Say "good day".'})
                await server.until("output_audio_buffer.stopped")
                await phone.send("dtmf", key="5")
                pressed = await server.until("input_audio_buffer.dtmf_event_received")
                assert (pressed["event"], "event_id" in pressed) == ("5", False)
                await phone.socket.close()
                with pytest.raises(ConnectionClosed):
                    await server.socket.recv()

    with receiving() as receiver:
        against(simulator, visit)


@pytest.mark.parametrize(
    ("verb", "body", "news"),
    [
        ("reject", {}, {"type": "rejected", "status_code": 603}),
        ("reject", {"status_code": 486}, {"type": "rejected", "status_code": 486}),
        ("refer", {"target_uri": "tel:+15550199"}, {"type": "referred", "target_uri": "tel:+15550199"}),
        ("hangup", {}, {"type": "ended"}),
    ],
)
def test_the_phone_learns_what_is_decided_and_the_call_is_over(
    verb: str, body: dict[str, Any], news: dict[str, Any]
) -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with ringing(simulator, receiver) as (phone, call_id, _):
            if verb != "reject":
                await client.post(f"/v1/realtime/calls/{call_id}/accept", json={"type": "realtime"})
            answer = await client.post(f"/v1/realtime/calls/{call_id}/{verb}", json=body)
            assert answer.status_code == 200
            assert await phone.until(news["type"]) == news
            await phone.socket.wait_closed()
            again = await client.post(f"/v1/realtime/calls/{call_id}/accept", json={"type": "realtime"})
            assert again.status_code in (400, 404)

    with receiving() as receiver:
        against(simulator, visit)


@pytest.mark.parametrize(
    ("verb", "body", "param"),
    [
        ("accept", {}, "type"),
        ("accept", {"type": "realtime", "voice": "x"}, "session.voice"),
        ("reject", {"status_code": 200}, "status_code"),
        ("refer", {}, "target_uri"),
    ],
)
def test_a_wrong_decision_is_refused_and_the_phone_rings_on(verb: str, body: dict[str, Any], param: str) -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with ringing(simulator, receiver) as (phone, call_id, _):
            answer = await client.post(f"/v1/realtime/calls/{call_id}/{verb}", json=body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
            await client.post(f"/v1/realtime/calls/{call_id}/accept", json={"type": "realtime"})
            await phone.until("answered")

    with receiving() as receiver:
        against(simulator, visit)


def test_a_webhook_that_fails_comes_again_under_the_same_id() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        receiver.answers.put(503)
        async with ringing(simulator, receiver) as (phone, _, first):
            second = await asyncio.to_thread(receiver.next)
            assert (second.message_id, second.body) == (first.message_id, first.body)
            assert (await phone.until("webhook"))["attempts"] == 2

    with receiving() as receiver:
        against(simulator, visit)


def test_a_webhook_can_be_told_twice_though_it_was_taken() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with ringing(simulator, receiver, repeat=2) as (_, _, first):
            second = await asyncio.to_thread(receiver.next)
            assert second.message_id == first.message_id

    with receiving() as receiver:
        against(simulator, visit)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("{", "A phone sends JSON or sound"),
        ('{"type": "dial"}', "Missing required parameter: 'webhook'"),
        ('{"type": "dial", "webhook": "http://127.0.0.1", "secret": 7}', "expected a string"),
    ],
)
def test_a_phone_that_dials_nothing_is_hung_up_with_the_reason(first: str, reason: str) -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with connect(f"ws://127.0.0.1:{simulator.port}/control/phone", max_queue=None) as socket:
            await socket.send(first)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1008
            assert reason in (socket.close_reason or "")

    against(simulator, visit)


def test_a_secret_that_is_none_is_told_to_the_phone() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with connect(f"ws://127.0.0.1:{simulator.port}/control/phone", max_queue=None) as socket:
            await socket.send(json.dumps({"type": "dial", "webhook": "http://127.0.0.1:9", "secret": "whsec_?"}))
            phone = Party(socket)
            assert "base64" in (await phone.until("error"))["message"]

    against(simulator, visit)


@pytest.mark.parametrize("path", ["/control/phone", "/control/calls/rtc_1"])
def test_no_page_and_no_server_without_control_has_a_phone(path: str) -> None:
    for control, headers, status in ((True, {"Origin": "https://example.com"}, 403), (False, {}, 404)):
        simulator = quiet()
        if not control:
            simulator = Simulator(speech=simulator.speech, media="none")

        async def visit(
            client: httpx.AsyncClient,
            simulator: Simulator = simulator,
            headers: dict[str, str] = headers,
            status: int = status,
        ) -> None:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{simulator.port}{path}", additional_headers=headers)
            assert refused.value.response.status_code == status

        against(simulator, visit)
