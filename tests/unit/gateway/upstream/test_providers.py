"""How each provider is called: its URL, its headers, its shape of a session, and no key where one could be seen."""

from __future__ import annotations

import hashlib
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.production_checks import front_of
from gateway.settings import GatewaySettings
from gateway.upstream.connection import Target
from gateway.upstream.providers import CUSTOM, OPENAI, PROVIDERS, XAI, Provider
from ringback.config.settings import load
from ringback.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
KEY = "sk-very-secret-key"
STORES = {
    "DATABASE_URL": "postgresql://u:hunter2@h/d",
    "REDIS_URL": "redis://h",
    "RINGBACK_TOKENS": "ada:ada-token-000001",
}


def settings_of(**variables: Any) -> GatewaySettings:
    return load(GatewaySettings, _env_file=None, **STORES, **variables)


def target_of(**variables: Any) -> Target:
    return settings_of(**variables).target("gpt-realtime-2.1", "ada")


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
    "the simulator, which listens elsewhere": (
        {"REALTIME_PROVIDER": "simulator", "RINGBACK_SIMULATOR_URL": "ws://simulator:8090/v1/realtime"},
        "ws://simulator:8090/v1/realtime?model=gpt-realtime-2.1",
    ),
    "a URL that wins over the simulator's": (
        {"REALTIME_PROVIDER": "simulator", "RINGBACK_SIMULATOR_URL": "ws://s/x", "REALTIME_URL": "ws://h/x"},
        "ws://h/x?model=gpt-realtime-2.1",
    ),
    "a provider that is not the simulator, and keeps its address": (
        {"REALTIME_PROVIDER": "xai", "RINGBACK_SIMULATOR_URL": "ws://simulator:8090/v1/realtime"},
        "wss://api.x.ai/v1/realtime?model=gpt-realtime-2.1",
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


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"xai"}))
def test_most_providers_read_a_session_as_it_is(provider: str) -> None:
    assert PROVIDERS[provider].adapt_session(SESSION) == SESSION


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
    assert XAI.adapt_session(session) == session | lifted


# — one object is all that a provider takes —


PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def in_words(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]


def row_of(name: str, page: str) -> str:
    [row] = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
    return str(row)


def test_the_settings_accept_the_names_of_the_registry() -> None:
    assert get_args(GatewaySettings.model_fields["realtime_provider"].annotation) == tuple(PROVIDERS)
    assert {name: provider.name for name, provider in PROVIDERS.items()} == {name: name for name in PROVIDERS}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_the_protocol_page_tells_how_a_provider_is_called(provider: Provider) -> None:
    _, url, header, also = (cell.strip() for cell in row_of(provider.name, PAGE).strip("|").split("|"))
    assert url.startswith(f"`{provider.url or 'REALTIME_URL'}`")
    assert header == f"`{provider.key_header}`" + ("" if provider.needs_key else ", if there is a key")
    assert [name for name in provider.user_headers("ada") if f"`{name}`" not in also] == []


def test_the_protocol_page_tells_of_no_other_provider() -> None:
    [rows] = re.findall(r"^\| preset \|.*\n\|[ \-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert re.findall(r"^\| `(\w+)`", rows, re.MULTILINE) == list(PROVIDERS)


def test_the_settings_page_tells_what_each_provider_requires() -> None:
    keyed = [name for name, provider in PROVIDERS.items() if provider.needs_key]
    elsewhere = [name for name, provider in PROVIDERS.items() if provider.url is None]
    assert ", ".join(PROVIDERS) in row_of("REALTIME_PROVIDER", SETTINGS)
    assert f"required for {in_words(keyed)};" in row_of("REALTIME_API_KEY", SETTINGS)
    assert f"required for {in_words(elsewhere)} |" in row_of("REALTIME_URL", SETTINGS)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_the_settings_and_production_ask_the_provider(provider: Provider) -> None:
    with pytest.raises(ConfigurationError) if provider.needs_key or provider.url is None else nullcontext():
        settings_of(REALTIME_PROVIDER=provider.name)
    settings = settings_of(REALTIME_PROVIDER=provider.name, REALTIME_API_KEY=KEY, **ELSEWHERE)
    assert settings.provider is provider
    target = settings.target("gpt-realtime-2.1", "ada")
    assert (target.url, target.quirks) == ("wss://h/v1/realtime?model=gpt-realtime-2.1", provider.quirks)
    assert KEY in target.headers[provider.key_header.partition(":")[0]]
    assert front_of(settings).is_simulated == provider.is_simulated


def test_a_server_of_ones_own_is_given_more_time() -> None:
    assert CUSTOM.quirks.create_seconds > OPENAI.quirks.create_seconds
    assert CUSTOM.quirks.pong_seconds > OPENAI.quirks.pong_seconds
