"""The simulator answers recorded HTTP requests as the recorded server did: the status, the headers and the fields."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx

from simulator.server.server import NO_SPEECH, Simulator
from tests.conformance.test_simulator_order import PATIENCE_S, fields_of, recording


async def answered(request: dict[str, Any]) -> httpx.Response:
    """What the simulator answers to a recorded request."""
    simulator = Simulator(speech=NO_SPEECH, media="none")
    path = request["uri"].removeprefix("https://api.openai.com")
    async with (
        asyncio.timeout(PATIENCE_S),
        simulator.serving(),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{simulator.port}", trust_env=False) as client,
    ):
        if "parsed_body" in request:
            return await client.request(request["method"], path, json=request["parsed_body"])
        headers = {"content-type": request["headers"]["content-type"][0]}
        return await client.request(request["method"], path, content=request["body"], headers=headers)


def exchange(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    (only,) = recording(name)
    return only["request"], only["response"]


def test_an_offer_is_answered_as_recorded() -> None:
    request, recorded = exchange("openai-webrtc-offer")
    answer = asyncio.run(answered(request))
    assert answer.status_code == recorded["status"]["code"]
    for name, (value, *_) in recorded["headers"].items():
        if name in ("content-type", "access-control-allow-origin"):
            assert answer.headers[name] == value
    form = r"/v1/realtime/calls/rtc_u\d_\w{21}"
    for location in (answer.headers["location"], recorded["headers"]["location"][0]):
        assert re.fullmatch(form, location)
    assert kinds(answer.text) == kinds(recorded["body"]["string"])


def kinds(sdp: str) -> list[str]:
    """The media sections of an SDP with their ids, in order."""
    return [line.split(" ")[0] for line in sdp.splitlines() if line.startswith(("m=", "a=mid:"))]


def test_a_client_secret_has_the_recorded_fields() -> None:
    request, recorded = exchange("openai-client-secret")
    answer = asyncio.run(answered(request))
    assert answer.status_code == recorded["status"]["code"]
    assert fields_of(answer.json()) == fields_of(recorded["parsed_body"])
    assert answer.json()["session"] == {**recorded["parsed_body"]["session"], "id": answer.json()["session"]["id"]}
    assert answer.json()["value"].startswith("ek_")
