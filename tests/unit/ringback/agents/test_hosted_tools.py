"""Secrets of hosted tools are read when a session is sent, and are stored nowhere."""

from __future__ import annotations

from typing import Any

from ringback.agents.hosted_tools import hosted_variables, with_secrets

DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp", "require_approval": "never"}
WEATHER = {"type": "function", "name": "weather"}
ENVIRONMENT = {"DOCS_TOKEN": "token-1", "SHOP_KEY": "key-1"}


def test_what_is_named_is_read_as_the_session_goes_out() -> None:
    named = {
        **DOCS,
        "headers": {"X-Shop": "7"},
        "authorization_env": "DOCS_TOKEN",
        "headers_env": {"X-Key": "SHOP_KEY"},
    }
    session = {"type": "realtime", "tools": [WEATHER, named]}
    assert with_secrets(session, ENVIRONMENT) == {
        "type": "realtime",
        "tools": [WEATHER, {**DOCS, "headers": {"X-Shop": "7", "X-Key": "key-1"}, "authorization": "token-1"}],
    }
    assert session["tools"] == [WEATHER, named], "what the conversation holds stays without them"
    assert hosted_variables([WEATHER, named]) == ["DOCS_TOKEN", "SHOP_KEY"]


def test_a_session_without_hosted_tools_goes_out_as_it_is() -> None:
    sessions: list[dict[str, Any]] = [{"type": "realtime"}, {"tools": []}, {"tools": [WEATHER]}, {"tools": [DOCS]}]
    for session in sessions:
        assert with_secrets(session, ENVIRONMENT) == session
