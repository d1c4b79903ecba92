"""How each provider is called: its URL, its headers, its shape of a session, and no key where one could be seen."""

from __future__ import annotations

import hashlib
from typing import Any, get_args

import pytest

from gateway.settings import GatewaySettings
from gateway.upstream.providers import LONGEST_SECONDS, PROFILES, Target, adapt_session, lifetime, target
from ringback.config.settings import load

KEY = "sk-very-secret-key"
STORES = {
    "DATABASE_URL": "postgresql://u:hunter2@h/d",
    "REDIS_URL": "redis://h",
    "RINGBACK_TOKENS": "ada:ada-token-000001",
}


def target_of(**variables: Any) -> Target:
    settings = load(GatewaySettings, _env_file=None, **STORES, **variables)
    return target(settings, "gpt-realtime-2.1", "ada")


URLS: dict[str, tuple[dict[str, str], str]] = {
    "OpenAI": ({"REALTIME_PROVIDER": "openai"}, "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"),
    "xAI": ({"REALTIME_PROVIDER": "xai"}, "wss://api.x.ai/v1/realtime?model=gpt-realtime-2.1"),
    "the simulator": ({}, "ws://127.0.0.1:8090/v1/realtime?model=gpt-realtime-2.1"),
    "Azure": (
        {"REALTIME_PROVIDER": "azure", "REALTIME_URL": "wss://r.openai.azure.com/openai/v1/realtime"},
        "wss://r.openai.azure.com/openai/v1/realtime?model=gpt-realtime-2.1",
    ),
    "a URL of its own": (
        {"REALTIME_PROVIDER": "openai", "REALTIME_URL": "wss://eu.example.com/v1/realtime"},
        "wss://eu.example.com/v1/realtime?model=gpt-realtime-2.1",
    ),
    "a model for all agents": (
        {"REALTIME_PROVIDER": "openai", "REALTIME_MODEL": "gpt-realtime-2.1-mini"},
        "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1-mini",
    ),
    "a model in the URL": (
        {"REALTIME_URL": "wss://h/v1/realtime?model=mine", "REALTIME_MODEL": "other"},
        "wss://h/v1/realtime?model=mine",
    ),
    "a call in the URL": ({"REALTIME_URL": "wss://h/v1/realtime?call_id=rtc_1"}, "wss://h/v1/realtime?call_id=rtc_1"),
    "more in the URL": (
        {"REALTIME_URL": "wss://h/v1/realtime?region=eu&flag="},
        "wss://h/v1/realtime?region=eu&flag=&model=gpt-realtime-2.1",
    ),
    "a model that needs escaping": (
        {"REALTIME_URL": "wss://h/x", "REALTIME_MODEL": "a b&c"},
        "wss://h/x?model=a+b%26c",
    ),
}


@pytest.mark.parametrize(("variables", "url"), URLS.values(), ids=URLS)
def test_the_url_names_the_model_once(variables: dict[str, str], url: str) -> None:
    assert target_of(REALTIME_API_KEY=KEY, **variables).url == url


ELSEWHERE = {"REALTIME_URL": "wss://h/v1/realtime"}
HEADERS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "OpenAI": (
        {"REALTIME_PROVIDER": "openai", "REALTIME_API_KEY": KEY},
        {
            "Authorization": f"Bearer {KEY}",
            "OpenAI-Safety-Identifier": hashlib.sha256(b"ada").hexdigest(),
        },
    ),
    "Azure": ({"REALTIME_PROVIDER": "azure", "REALTIME_API_KEY": KEY, **ELSEWHERE}, {"api-key": KEY}),
    "xAI": ({"REALTIME_PROVIDER": "xai", "REALTIME_API_KEY": KEY}, {"Authorization": f"Bearer {KEY}"}),
    "the simulator": ({}, {}),
    "custom": (
        {"REALTIME_PROVIDER": "custom", "REALTIME_HEADERS": {"X-Key": "1"}, **ELSEWHERE},
        {"X-Key": "1"},
    ),
    "custom with a key": (
        {"REALTIME_PROVIDER": "custom", "REALTIME_API_KEY": KEY, **ELSEWHERE},
        {"Authorization": f"Bearer {KEY}"},
    ),
}


@pytest.mark.parametrize(("variables", "headers"), HEADERS.values(), ids=HEADERS)
def test_the_key_goes_into_the_providers_own_header(variables: dict[str, Any], headers: dict[str, str]) -> None:
    assert target_of(**variables).headers == headers


def test_a_target_never_shows_its_key() -> None:
    shown = target_of(REALTIME_PROVIDER="openai", REALTIME_API_KEY=KEY, REALTIME_HEADERS={"X-Other": "hush-hush"})
    assert repr(shown) == "Target(api.openai.com)"
    assert KEY not in f"{shown} {[shown]}"


def test_a_target_shows_no_credentials_of_a_url() -> None:
    assert "hunter2" not in repr(Target("wss://u:hunter2@h:1/x?model=m", {}))


SESSION = {
    "type": "realtime",
    "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "Eve"}},
}


@pytest.mark.parametrize("provider", ["openai", "azure", "simulator", "custom"])
def test_most_providers_read_a_session_as_it_is(provider: str) -> None:
    assert adapt_session(provider, SESSION) == SESSION


@pytest.mark.parametrize(
    ("session", "lifted"),
    [
        (SESSION, {"turn_detection": {"type": "server_vad"}, "voice": "Eve"}),
        ({"audio": {"input": {"turn_detection": None}}}, {"turn_detection": None}),
        ({"audio": {"input": {"transcription": None}}}, {}),
        ({"audio": {}}, {}),
        ({"type": "realtime"}, {}),
    ],
)
def test_xai_reads_voice_and_turn_detection_at_the_top(session: dict[str, Any], lifted: dict[str, Any]) -> None:
    assert adapt_session("xai", session) == session | lifted


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("expires_at", "seconds"),
    [
        (NOW + 3_600, 3_600),
        ((NOW + 3_600) * 1_000, 3_600),
        (1_800, 1_800),
        (0.5, 0.5),
        (None, None),
        (0, None),
        (-60, None),
        (NOW - 60, None),
        (NOW, None),
        (NOW + LONGEST_SECONDS + 1, None),
        (float(2**53), None),
    ],
)
def test_the_end_of_a_session_is_read_in_the_unit_in_which_it_can_be_meant(
    expires_at: float | None, seconds: float | None
) -> None:
    assert lifetime(expires_at, NOW) == seconds


def test_each_provider_has_a_profile() -> None:
    presets = get_args(GatewaySettings.model_fields["realtime_provider"].annotation)
    assert set(PROFILES) == set(presets)
    assert (
        target_of(REALTIME_PROVIDER="custom", **ELSEWHERE).profile.create_seconds > target_of().profile.create_seconds
    )
