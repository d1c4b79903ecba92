"""Where each provider takes calls: every URL, the form of an offer, and what is read of the answer."""

from __future__ import annotations

import json

import pytest

from gateway.upstream.call_endpoints import (
    Act,
    Answer,
    CallRefused,
    call_url,
    calls_url,
    client_secrets_url,
    offer_of,
    read_answer,
    sideband_url,
)
from gateway.upstream.providers import AZURE, CUSTOM, INWORLD, OPENAI, PROVIDERS, SIMULATOR, XAI, Provider

AZURES = "wss://r.openai.azure.com/openai/v1/realtime"
UUID = "6ad5b6a2-3d0c-4f2b-9a39-3c1a6f0d2b11"
SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"
JOINED = [name for name, provider in PROVIDERS.items() if provider.calls.offer is not None]
APART = sorted(set(PROVIDERS) - set(JOINED))

# provider, REALTIME_URL, calls, client secrets, sideband of the call c-1
URLS: dict[str, tuple[Provider, str | None, str, str | None, str]] = {
    "OpenAI": (
        OPENAI,
        None,
        "https://api.openai.com/v1/realtime/calls",
        "https://api.openai.com/v1/realtime/client_secrets",
        "wss://api.openai.com/v1/realtime?call_id=c-1",
    ),
    "Azure filters what the browser is told": (
        AZURE,
        AZURES,
        "https://r.openai.azure.com/openai/v1/realtime/calls?webrtcfilter=on",
        "https://r.openai.azure.com/openai/v1/realtime/client_secrets",
        f"{AZURES}?call_id=c-1",
    ),
    "Inworld makes no secrets": (
        INWORLD,
        None,
        "https://api.inworld.ai/v1/realtime/calls",
        None,
        "wss://api.inworld.ai/v1/realtime?call_id=c-1",
    ),
    "the simulator": (
        SIMULATOR,
        None,
        "http://127.0.0.1:8090/v1/realtime/calls",
        "http://127.0.0.1:8090/v1/realtime/client_secrets",
        "ws://127.0.0.1:8090/v1/realtime?call_id=c-1",
    ),
    "what belongs to one connection is left out, all else is kept": (
        CUSTOM,
        "wss://h:1/x/realtime/?model=m&intent=a&region=eu&call_id=old&flag=",
        "https://h:1/x/realtime/calls?region=eu&flag=",
        "https://h:1/x/realtime/client_secrets?region=eu&flag=",
        "wss://h:1/x/realtime/?region=eu&flag=&call_id=c-1",
    ),
}


@pytest.mark.parametrize(("provider", "url", "calls", "secrets", "sideband"), URLS.values(), ids=URLS)
def test_every_address_follows_from_the_websocket_url(
    provider: Provider, url: str | None, calls: str, secrets: str | None, sideband: str
) -> None:
    assert calls_url(provider, url=url) == calls
    assert sideband_url(provider, "c-1", url=url) == sideband
    if secrets is not None:
        assert client_secrets_url(provider, url=url) == secrets


def test_a_sideband_names_its_call_and_no_model() -> None:
    target = OPENAI.target("gpt-realtime-2.1", "ada", url=sideband_url(OPENAI, "rtc_1"), key="sk-1", headers={})
    assert target.url == "wss://api.openai.com/v1/realtime?call_id=rtc_1"
    assert target.headers["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_a_request_has_the_headers_of_a_connection(provider: Provider) -> None:
    asked = {"key": "sk-1", "headers": {"X-Team": "voice"}}
    target = provider.target("m", "ada", url="wss://h/v1/realtime", **asked)  # type: ignore[arg-type]
    assert provider.headers("ada", **asked) == target.headers  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ["accept", "reject", "refer", "hangup"])
def test_an_act_stands_behind_the_call(act: Act) -> None:
    assert call_url(OPENAI, "rtc_1", act) == f"https://api.openai.com/v1/realtime/calls/rtc_1/{act}"


def test_inworld_hangs_up_and_takes_no_telephone_calls() -> None:
    assert call_url(INWORLD, UUID, "hangup") == f"https://api.inworld.ai/v1/realtime/calls/{UUID}/hangup"
    with pytest.raises(CallRefused, match="'accept'"):
        call_url(INWORLD, UUID, "accept")


def test_the_providers_that_take_calls_are_these() -> None:
    assert JOINED == ["openai", "azure", "inworld", "simulator", "custom"]


@pytest.mark.parametrize("name", APART)
def test_of_the_others_the_message_says_what_to_use(name: str) -> None:
    provider, url, instead = PROVIDERS[name], "ws://h/v1/realtime", "connect over the WebSocket"
    with pytest.raises(CallRefused, match=instead):
        calls_url(provider, url=url)
    with pytest.raises(CallRefused, match=instead):
        sideband_url(provider, "c-1", url=url)
    with pytest.raises(CallRefused, match=instead):
        offer_of(provider, SDP, {})
    with pytest.raises(CallRefused, match=instead):
        read_answer(provider, "/v1/realtime/calls/c-1", SDP)


def test_xai_makes_secrets_that_hold_no_session() -> None:
    assert client_secrets_url(XAI) == "https://api.x.ai/v1/realtime/client_secrets"
    assert XAI.calls.secrets == "bare"
    with pytest.raises(CallRefused, match="makes no client secrets"):
        client_secrets_url(INWORLD)


@pytest.mark.parametrize("call_id", ["", "a/b", "../x", "a?b=c", "a b", "é", "x" * 129])
def test_an_id_that_would_change_the_url_is_refused(call_id: str) -> None:
    with pytest.raises(CallRefused, match="letters, digits"):
        sideband_url(OPENAI, call_id)
    with pytest.raises(CallRefused, match="letters, digits"):
        call_url(OPENAI, call_id, "hangup")


def test_a_url_that_is_no_realtime_url_is_refused_in_words() -> None:
    with pytest.raises(CallRefused, match="must end with /realtime"):
        calls_url(CUSTOM, url="wss://h/voice")
    with pytest.raises(CallRefused, match="REALTIME_URL is not set"):
        calls_url(AZURE)


def test_an_offer_is_a_form_or_json() -> None:
    session = {"type": "realtime", "model": "m"}
    form = offer_of(OPENAI, SDP, session)
    assert form.json is None
    assert form.files is not None
    assert form.files["sdp"] == (None, SDP, "application/sdp")
    assert (form.files["session"][2], json.loads(form.files["session"][1])) == ("application/json", session)
    assert offer_of(INWORLD, SDP, session).json == {"sdp": SDP, "session": session}


ANSWERS: dict[str, tuple[Provider, str | None, str]] = {
    "OpenAI, as recorded": (OPENAI, "/v1/realtime/calls/rtc_u2_1", SDP),
    "a whole URL": (OPENAI, "https://api.openai.com/v1/realtime/calls/rtc_u2_1?x=1", SDP),
    "Inworld": (INWORLD, "/v1/realtime/calls/rtc_u2_1", json.dumps({"id": "other", "sdp": SDP, "ice_servers": []})),
    "Inworld, in its JSON alone": (INWORLD, None, json.dumps({"id": "rtc_u2_1", "sdp": SDP})),
}


@pytest.mark.parametrize(("provider", "location", "body"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_names_the_call_and_holds_its_sdp(provider: Provider, location: str | None, body: str) -> None:
    assert read_answer(provider, location, body) == Answer("rtc_u2_1", SDP)


WRONG: dict[str, tuple[Provider, str | None, str, str]] = {
    "no Location": (OPENAI, None, SDP, "names no call"),
    "an id that is none": (OPENAI, "/v1/realtime/calls/a%2Fb", SDP, "names no call"),
    "no SDP": (OPENAI, "/v1/realtime/calls/rtc_1", "<html>", "holds no SDP"),
    "JSON that is none": (INWORLD, "/v1/realtime/calls/c-1", "<html>", "holds no SDP"),
    "JSON of another shape": (INWORLD, "/v1/realtime/calls/c-1", "[1]", "holds no SDP"),
}


@pytest.mark.parametrize(("provider", "location", "body", "why"), WRONG.values(), ids=WRONG)
def test_an_answer_without_them_is_refused(provider: Provider, location: str | None, body: str, why: str) -> None:
    with pytest.raises(CallRefused, match=why):
        read_answer(provider, location, body)
