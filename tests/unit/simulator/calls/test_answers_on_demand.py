"""The control API decides how requests about calls are answered: refused, done and not answered, or done and held."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from simulator.recorder import Recorder
from simulator.server.control import Answer, Control, Hold
from tests.unit.simulator.calls.placing import OFFER, SDP, Party, against, beside, place, quiet

pytestmark = pytest.mark.loopback


async def orders(client: httpx.AsyncClient, do: str, **rest: Any) -> None:
    answer = await client.post("/control", params={"do": do, **rest})
    assert answer.is_success, answer.text


def test_a_request_is_refused_as_often_as_ordered_and_in_the_words_of_the_order() -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        await orders(client, "answer", act="place", status=500, code="broken", message="It is broken.")
        await orders(client, "answer", act="place", status=429)
        refused = await client.post("/v1/realtime/calls", content=OFFER, headers=SDP)
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "broken")
        assert refused.json()["error"]["message"] == "It is broken."
        again = await client.post("/v1/realtime/calls", content=OFFER, headers=SDP)
        assert (again.status_code, again.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        await place(client)

    against(quiet(), visit)


def test_a_hang_up_may_be_done_although_its_answer_says_otherwise() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        for done, lives in ((False, True), (True, False)):
            await orders(client, "answer", act="hangup", status=503, done=done)
            assert (await client.post(f"/v1/realtime/calls/{call_id}/hangup")).status_code == 503
            assert (call_id in simulator.calls.live and not simulator.calls.live[call_id].is_over) is lives

    against(simulator, visit)


def test_sidebands_are_refused_and_the_order_can_be_taken_back() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        await orders(client, "answer", act="sideband", status=404, times=1_000)
        with pytest.raises(InvalidStatus, match="404"):
            await connect(f"{simulator.url}?call_id={call_id}")
        await orders(client, "answer", act="sideband", times=0)
        async with beside(simulator, call_id) as server:
            await server.send("session.update", session={"type": "realtime"})
            await server.until("session.updated")

    against(simulator, visit)


def test_a_held_answer_comes_when_it_is_released_and_the_act_is_done_before() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        async with connect(f"ws://127.0.0.1:{simulator.port}/control/phone", max_queue=None) as socket:
            phone = Party(socket)
            await phone.send("dial", webhook=None, secret=None)
            call_id = (await phone.until("ringing"))["call_id"]
            await orders(client, "hold", act="accept")
            url = f"/v1/realtime/calls/{call_id}/accept"
            accepting = asyncio.create_task(client.post(url, json={"type": "realtime"}))
            await phone.until("answered")
            assert not accepting.done(), "it is accepted, and not told so"
            await orders(client, "release", act="accept")
            assert (await accepting).status_code == 200

    against(simulator, visit)


def test_requests_and_their_answers_are_recorded() -> None:
    notes: list[tuple[str, Any]] = []

    class Kept(Recorder):
        def _write(self, entry: dict[str, Any]) -> None:
            notes.append((entry["direction"], entry.get("detail")))

    async def visit(client: httpx.AsyncClient) -> None:
        await client.post("/v1/realtime/calls/rtc_none/hangup", content=b"{}")

    against(quiet(recorder=Kept), visit)
    (asked, answered) = notes
    assert asked == ("request", {"target": "/v1/realtime/calls/rtc_none/hangup", "content_type": "", "body": "{}"})
    assert (answered[0], answered[1]["status"]) == ("answer", 404)


@pytest.mark.parametrize("wrong", [{"act": "dance"}, {"act": "place", "status": "200"}, {"act": "place", "often": "2"}])
def test_a_wrong_order_is_refused(wrong: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in {"do": "answer", **wrong}.items())
    assert Control().answer("POST", f"/control?{query}")[0] == 400


def test_what_is_left_is_counted_and_a_release_of_nothing_does_nothing() -> None:
    control = Control()
    control.order_answer(Answer(act="reject", times=2))
    control.order_hold(Hold(do="release", act="reject"))
    assert control.left("reject") == 2
    assert control.answer_to("reject") == Answer(act="reject", times=2)
    assert (control.left("reject"), control.answer_to("place")) == (1, None)
