"""Calls over HTTP: how they are placed, controlled and refused, without media."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.unit.simulator.calls.placing import OFFER, SDP, against, beside, place, quiet

pytestmark = pytest.mark.loopback


def form(session: Any, sdp: str = OFFER) -> dict[str, Any]:
    files = {"sdp": (None, sdp, "application/sdp"), "session": (None, json.dumps(session), "application/json")}
    return {"files": files}


def test_an_offer_is_answered_with_its_own_sections_and_a_location() -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/realtime/calls", content=OFFER, headers=SDP)
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["location"].startswith("/v1/realtime/calls/rtc_")
        assert answer.text.startswith("v=0\r\n")
        kinds = [line.split()[0] for line in answer.text.splitlines() if line.startswith("m=")]
        assert kinds == ["m=audio", "m=application"]

    against(quiet(), visit)


def test_the_session_of_the_form_is_that_of_the_call() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        session = {"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Be brief."}
        answer = await client.post("/v1/realtime/calls", **form(session))
        call_id = answer.headers["location"].rpartition("/")[2]
        shown = simulator.calls.live[call_id].conversation.player.session
        assert (shown["model"], shown["instructions"]) == ("gpt-realtime-2.1", "Be brief.")

    against(simulator, visit)


@pytest.mark.parametrize(
    ("request_", "code", "param"),
    [
        ({"content": "hello", "headers": SDP}, "invalid_offer", "sdp"),
        ({"content": b"\xff\xfe", "headers": SDP}, "invalid_offer", "sdp"),
        ({"content": "v=0\r\nm=video 9 X 1\r\n", "headers": SDP}, "invalid_offer", "sdp"),
        ({"json": {"sdp": OFFER}}, "invalid_value", "content-type"),
        ({"files": {"session": (None, "{}", "application/json")}}, "missing_required_parameter", "sdp"),
        (form({"type": "realtime", "voice": "x"}), "unknown_parameter", "session.voice"),
        (form({"type": "transcription"}), "invalid_value", "session.type"),
        (form([]), "invalid_type", "session"),
    ],
)
def test_a_wrong_request_is_refused_in_the_apis_shape(request_: dict[str, Any], code: str, param: str) -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/realtime/calls", **request_)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")

    against(quiet(), visit)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/realtime/calls", 405),
        ("POST", "/v1/realtime/elsewhere", 404),
        ("POST", "/v1/realtime/calls/rtc_1/hangup", 404),
        ("POST", "/v1/realtime/calls/rtc_1/accept", 404),
        ("POST", "/v1/realtime/calls?scenario=none", 400),
        ("OPTIONS", "/v1/realtime/calls", 204),
    ],
)
def test_what_there_is_not_is_refused(method: str, path: str, status: int) -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"

    against(quiet(), visit)


def test_only_the_key_and_its_client_secrets_place_calls() -> None:
    simulator = quiet(key="sk-1")

    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/realtime/calls", content=OFFER, headers={**SDP, "authorization": "Bearer x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        by_key = {"authorization": "Bearer sk-1"}
        made = await client.post(
            "/v1/realtime/client_secrets", headers=by_key, json={"session": {"instructions": "From the secret."}}
        )
        assert made.json()["session"]["instructions"] == "From the secret."
        call_id = await place(client, authorization=f"Bearer {made.json()['value']}")
        assert simulator.calls.live[call_id].conversation.player.session["instructions"] == "From the secret."
        hung_up = await client.post(f"/v1/realtime/calls/{call_id}/hangup")
        assert hung_up.status_code == 401
        assert call_id in simulator.calls.live

    against(simulator, visit)


@pytest.mark.parametrize("seconds", [9, 7201, "60"])
def test_a_client_secret_lives_as_long_as_documented(seconds: Any) -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/realtime/client_secrets", json={"expires_after": {"seconds": seconds}})
        assert answer.json()["error"]["param"] == "expires_after.seconds"

    against(quiet(), visit)


def test_a_hung_up_call_closes_its_sidebands_and_is_gone() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with beside(simulator, call_id) as first, beside(simulator, call_id) as second:
            answer = await client.post(f"/v1/realtime/calls/{call_id}/hangup")
            assert (answer.status_code, answer.content) == (200, b"")
            for sideband in (first, second):
                await sideband.socket.wait_closed()
                assert sideband.socket.close_code == 1000
        again = await client.post(f"/v1/realtime/calls/{call_id}/hangup")
        assert (again.status_code, again.json()["error"]["code"]) == (404, "call_id_not_found")

    against(simulator, visit)


def test_a_call_without_a_phone_is_neither_accepted_nor_referred() -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        for verb in ("accept", "reject", "refer"):
            answer = await client.post(f"/v1/realtime/calls/{call_id}/{verb}", json={"type": "realtime"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_call")

    against(quiet(), visit)


def test_a_body_that_is_too_large_is_refused_and_others_are_served() -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/realtime/calls", content=OFFER + "a" * 1_100_000, headers=SDP)
        assert answer.status_code == 413
        await place(client)

    against(quiet(), visit)
