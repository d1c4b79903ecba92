"""What is missing or wrong in the gateway's settings is named in one sentence, and no secret is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from ringback.config.settings import load
from ringback.errors import ConfigurationError

GOOD = {
    "DATABASE_URL": "postgresql://u:hunter2@h/d",
    "REDIS_URL": "redis://:hunter2@h",
    "RINGBACK_TOKENS": "ada:hunter2-hunter2",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own: only what a test sets."""
    monkeypatch.chdir(tmp_path)  # no .env there
    for field in GatewaySettings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> GatewaySettings:
    for name, value in {**GOOD, **variables}.items():
        monkeypatch.setenv(name, value)
    return load(GatewaySettings)


def test_three_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert settings.realtime_provider == "simulator"
    assert settings.host == "127.0.0.1"
    assert settings.database_url == "postgresql+psycopg://u:hunter2@h/d"


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(GatewaySettings)
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert f"{name} is not set" in str(raised.value)
    assert ".env.example" in str(raised.value)


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "a database of another kind": (
        {"DATABASE_URL": "mysql://u:hunter2@h/d"},
        "DATABASE_URL is not usable: must look like postgresql://user:password@host:5432/name",
    ),
    "no URL at all": (
        {"REDIS_URL": "hunter2"},
        "REDIS_URL is not usable: must look like redis://user:password@host:6379/0",
    ),
    "an unknown provider": ({"REALTIME_PROVIDER": "acme"}, "REALTIME_PROVIDER is not usable: input should be 'openai'"),
    "OpenAI without a key": (
        {"REALTIME_PROVIDER": "openai"},
        "REALTIME_API_KEY is not set, and REALTIME_PROVIDER=openai needs one",
    ),
    "Azure without a URL": (
        {"REALTIME_PROVIDER": "azure", "REALTIME_API_KEY": "hunter2"},
        "REALTIME_URL is not set, and REALTIME_PROVIDER=azure has no default",
    ),
    "custom without a URL": (
        {"REALTIME_PROVIDER": "custom"},
        "REALTIME_URL is not set, and REALTIME_PROVIDER=custom has no default",
    ),
    "a URL that is no WebSocket's": (
        {"REALTIME_URL": "https://h/v1/realtime"},
        "REALTIME_URL must begin with wss://",
    ),
    "a simulator's URL that is no WebSocket's": (
        {"RINGBACK_SIMULATOR_URL": "http://h"},
        "RINGBACK_SIMULATOR_URL must begin with wss://",
    ),
    "a URL with half an address": (
        {"REALTIME_PROVIDER": "custom", "REALTIME_URL": "wss://[hunter2"},
        "REALTIME_URL must begin with wss:// (or ws:// on loopback), and name a host, and a port from 1 to 65535",
    ),
    "a URL whose host can be none": (
        {"REALTIME_PROVIDER": "custom", "REALTIME_URL": "wss://h..x/v1/realtime"},
        "REALTIME_URL must begin with wss://",
    ),
    "a URL that urllib would quote": (
        {"REALTIME_PROVIDER": "custom", "REALTIME_URL": "ws://u:hunter2\N{ACCOUNT OF}@h/"},
        "REALTIME_URL must begin with wss://",
    ),
    "a URL with a port that can be none": (
        {"RINGBACK_SIMULATOR_URL": "ws://h:99999/v1/realtime"},
        "RINGBACK_SIMULATOR_URL must begin with wss://",
    ),
    "a public URL with a port that can be none": (
        {"RINGBACK_PUBLIC_URL": "https://h:abc"},
        "RINGBACK_PUBLIC_URL is not usable: it must begin with https:// (or http://), and name a host, and a port",
    ),
    "a public URL without a scheme": (
        {"RINGBACK_PUBLIC_URL": "voice.example.com"},
        "RINGBACK_PUBLIC_URL is not usable: it must begin with https:// (or http://)",
    ),
    "a public URL with a slash at its end": (
        {"RINGBACK_PUBLIC_URL": "https://voice.example.com/"},
        "RINGBACK_PUBLIC_URL is not usable: it must have no path, such as https://voice.example.com",
    ),
    "an address of Twilio's that ends with a slash": (
        {"TWILIO_API_URL": "https://api.twilio.com/"},
        "TWILIO_API_URL is not usable: it must end without a slash",
    ),
    "an address of Twilio's that is none": (
        {"TWILIO_API_URL": "https://[x"},
        "TWILIO_API_URL is not usable: it must begin with https:// (or http://), and name a host, and a port",
    ),
    "keys at a port that can be none": (
        {"RINGBACK_JWT_JWKS": "https://h:0/k", "RINGBACK_JWT_ISSUER": "i", "RINGBACK_JWT_AUDIENCE": "a"},
        "RINGBACK_JWT_JWKS must be a file, or begin with https://",
    ),
    "a key that ends with a line": (
        {"REALTIME_PROVIDER": "openai", "REALTIME_API_KEY": "hunter2\n"},
        "REALTIME_API_KEY is not usable: it holds a space, a line's end or a letter that no header may have",
    ),
    "a header that is two": (
        {"REALTIME_HEADERS": '{"X-Key": "hunter2\\r\\nX-Other: 1"}'},
        "REALTIME_HEADERS is not usable: 'X-Key' holds a line's end, or a letter outside of ASCII",
    ),
    "a header without a name": (
        {"REALTIME_HEADERS": '{"X Key": "hunter2"}'},
        "REALTIME_HEADERS is not usable: 'X Key' can be no header's name",
    ),
    "headers that are not JSON": ({"REALTIME_HEADERS": '{"X-Key": "hunter2'}, "REALTIME_HEADERS is not usable"),
    "headers that are a list": ({"REALTIME_HEADERS": '["hunter2"]'}, "REALTIME_HEADERS is not usable"),
    "a header that is no text": ({"REALTIME_HEADERS": '{"X-Key": 7}'}, "REALTIME_HEADERS.X-Key is not usable"),
    "an origin as no browser sends it": (
        {"RINGBACK_ORIGINS": "https://app.example.com, https://App.example.com/"},
        "RINGBACK_ORIGINS is not usable: 'https://App.example.com/' is not how a browser writes it: write https://app",
    ),
    "an identity provider without an issuer": (
        {"RINGBACK_JWT_JWKS": "https://id.example.com/keys", "RINGBACK_JWT_AUDIENCE": "voice"},
        "RINGBACK_JWT_ISSUER is not set, and RINGBACK_JWT_JWKS needs it",
    ),
    "an identity provider without an audience": (
        {"RINGBACK_JWT_JWKS": "https://id.example.com/keys", "RINGBACK_JWT_ISSUER": "https://id.example.com"},
        "RINGBACK_JWT_AUDIENCE is not set, and RINGBACK_JWT_JWKS needs it",
    ),
    "keys that can be changed on the way": (
        {
            "RINGBACK_JWT_JWKS": "http://id.example.com/keys",
            "RINGBACK_JWT_AUDIENCE": "voice",
            "RINGBACK_JWT_ISSUER": "https://id.example.com",
        },
        "RINGBACK_JWT_JWKS must be a file, or begin with https://",
    ),
    "an issuer without keys": ({"RINGBACK_JWT_ISSUER": "https://id.example.com"}, "RINGBACK_JWT_JWKS is not set"),
    "a shared secret": ({"RINGBACK_JWT_ALGORITHMS": "RS256,HS256"}, "RINGBACK_JWT_ALGORITHMS is not usable: name algo"),
    "no signature": (
        {"RINGBACK_JWT_ALGORITHMS": "none"},
        "RINGBACK_JWT_ALGORITHMS is not usable: name algorithms that",
    ),
    "no algorithm": ({"RINGBACK_JWT_ALGORITHMS": ","}, "RINGBACK_JWT_ALGORITHMS is not usable: name algorithms that"),
    "a scope that is not ours": (
        {"RINGBACK_JWT_GATEWAY_SCOPES": "history,root"},
        "RINGBACK_JWT_GATEWAY_SCOPES is not usable: name scopes of the gateway: realtime, secrets",
    ),
    "a token without a user": (
        {"RINGBACK_TOKENS": "hunter2-hunter2"},
        "RINGBACK_TOKENS is not usable: must look like user:token,user:token",
    ),
    "a short token": (
        {"RINGBACK_TOKENS": "ada:hunter2"},
        "RINGBACK_TOKENS is not usable: a token needs 12 characters or more; make one with `ringback token static`",
    ),
    "a short token of a backend": (
        {"RINGBACK_TOKENS": "ada:hunter2:trusted"},
        "RINGBACK_TOKENS is not usable: a token needs 12 characters or more; make one with `ringback token static`",
    ),
    "one token for a user and a backend": (
        {"RINGBACK_TOKENS": "ada:hunter2-hunter2,bob:hunter2-hunter2:trusted"},
        "RINGBACK_TOKENS is not usable: names a user or a token twice: give each user one token",
    ),
    "one token for two": (
        {"RINGBACK_TOKENS": "ada:hunter2-hunter2,bob:hunter2-hunter2"},
        "RINGBACK_TOKENS is not usable: names a user or a token twice: give each user one token",
    ),
    "one user twice": (
        {"RINGBACK_TOKENS": "ada:hunter2-hunter2,ada:hunter2-hunter3"},
        "RINGBACK_TOKENS is not usable: names a user or a token twice: give each user one token",
    ),
    "a port that is none": ({"RINGBACK_PORT": "99999"}, "RINGBACK_PORT is not usable"),
    "a port that is no number": ({"RINGBACK_PORT": "http"}, "RINGBACK_PORT is not usable"),
    "no sessions": ({"RINGBACK_MAX_SESSIONS": "0"}, "RINGBACK_MAX_SESSIONS is not usable"),
    "tiny frames": ({"RINGBACK_MAX_FRAME_BYTES": "1"}, "RINGBACK_MAX_FRAME_BYTES is not usable"),
}


@pytest.mark.parametrize(("variables", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_in_one_sentence_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(monkeypatch, **variables)
    assert str(raised.value).startswith(sentence)
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None, "a traceback would show the value after all"


def test_tokens_and_headers_are_read_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        RINGBACK_TOKENS=" ada:token:with:colons , bob:another-token:trusted"
        ",eve:third-token-of-all:transcripts:recordings:trusted",
        REALTIME_HEADERS='{"X-Key": "1"}',
    )
    assert {user: token.secret.get_secret_value() for user, token in settings.tokens.items()} == {
        "ada": "token:with:colons",
        "bob": "another-token",
        "eve": "third-token-of-all",
    }
    marks = {user: set(token.marks) for user, token in settings.tokens.items() if token.marks}
    assert marks == {"bob": {"trusted"}, "eve": {"trusted", "transcripts", "recordings"}}
    assert settings.realtime_headers == {"X-Key": "1"}


def test_no_secret_is_shown_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, REALTIME_API_KEY="hunter2", REALTIME_HEADERS='{"X-Key": "hunter2"}')
    assert "hunter2" not in f"{settings!r} {settings}"
