"""Nobody is let in before the model has confirmed our instructions and tools."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType
from typing import Any

import pytest

from gateway.conversation.actions import Close, Warn
from tests.unit.gateway.conversation.script import (
    SESSION,
    WEATHER,
    Script,
    call,
    created,
    done,
    refused,
    updated,
)

THEIRS = [{"type": "function", "name": "theirs"}]


def test_the_model_is_configured_as_soon_as_the_session_exists() -> None:
    script = Script(WEATHER, voice="marin")
    assert script.model({"type": "session.created", "session": {"instructions": "theirs"}}) == ["model: session.update"]
    session = script.to_model[0]["session"]
    assert session["instructions"] == "Be kind."
    assert session["tools"] == [WEATHER.for_model()]
    assert session["audio"]["output"] == {"voice": "marin"}


def test_the_client_is_let_in_by_the_confirmation_and_hears_of_the_session_then() -> None:
    script = Script()
    script.model({"type": "session.created", "session": {"id": "sess_1", "instructions": "theirs"}})
    assert not script.conversation.is_open
    assert script.model(updated(script)) == ["let the client in", "client: session.created"]
    shown = script.to_client[0]["session"]
    assert shown["id"] == str(SESSION)
    assert shown["tools"] == []
    assert "instructions" not in shown
    assert "tool_choice" not in shown
    assert shown["model"] == "gpt-realtime-2.1"


@pytest.mark.parametrize(
    "event",
    [
        created("R1"),
        done("R1"),
        call("call_1"),
        {"type": "conversation.created", "conversation": {"id": "conv_1"}},
        {"type": "ping"},
        {"type": "response.output_audio.delta", "delta": "AAAA"},
    ],
    ids=lambda event: str(event["type"]),
)
def test_nothing_happens_before_the_confirmation(event: dict[str, Any]) -> None:
    script = Script()
    script.model({"type": "session.created", "session": {}})
    assert script.model(event) == []
    assert not script.conversation.is_open


@pytest.mark.parametrize(
    "session",
    [
        {"instructions": "theirs"},
        {"instructions": "  theirs\n"},
        {"instructions": None},
        {"instructions": ""},
        {"tools": THEIRS},
    ],
)
def test_a_session_that_did_not_take_our_instructions_or_tools_is_closed(session: dict[str, Any]) -> None:
    script = Script()
    script.model({"type": "session.created", "session": {"instructions": "theirs", "tools": THEIRS}})
    assert script.model(updated(script, **session)) == ["warn", "close 1011 upstream_refused"]
    assert not script.conversation.is_open


@pytest.mark.parametrize(
    "session",
    [
        {"instructions": "Be kind, said the caller."},
        {"tools": []},
        {"tools": None},
        {"tools": [WEATHER.for_model()]},
        {"tools": [WEATHER.for_model(), {"type": "function", "name": "another"}]},
    ],
)
def test_a_server_may_show_what_it_took_in_words_of_its_own(session: dict[str, Any]) -> None:
    script = Script()
    script.model({"type": "session.created", "session": {"instructions": "theirs", "tools": []}})
    assert script.model(updated(script, **session)) == ["warn", "let the client in", "client: session.created"]


def test_a_refused_configuration_closes_the_session_and_the_log_says_why() -> None:
    script = Script()
    script.model({"type": "session.created", "session": {}})
    assert script.model(refused("rb_configure_1", "cannot_update_voice")) == ["warn", "close 1011 upstream_refused"]
    warning, close = script.actions
    assert isinstance(warning, Warn)
    assert "cannot_update_voice" in warning.text
    assert close == Close(1011, "upstream_refused")


def test_a_server_that_does_not_echo_the_tools_is_believed() -> None:
    script = Script()
    script.model({"type": "session.created", "session": {}})
    confirmation = updated(script)
    del confirmation["session"]["tools"]
    assert script.model(confirmation) == ["let the client in", "client: session.created"]


def test_an_open_conversation_keeps_no_session_of_the_server_whole_as_each_holds_all_tools_and_instructions() -> None:
    script = Script(WEATHER)
    script.model({"type": "session.created", "session": {"instructions": "Before: be brief."}})
    script.model(updated(script, instructions="Be kind. (As echoed.)"))
    assert script.conversation.is_open
    texts = {each for each in reached_from(script.conversation) if isinstance(each, str)}
    assert "Be kind." in texts, "those of the agent, which all its sessions share"
    assert not texts & {"Before: be brief.", "Be kind. (As echoed.)"}


def reached_from(start: object) -> list[object]:
    """The objects that it holds, and those that they hold; classes and modules hold what all share."""
    found = {id(start): start}
    waiting = [start]
    while waiting:
        for each in gc.get_referents(waiting.pop()):
            if id(each) not in found and not isinstance(each, type | ModuleType):
                found[id(each)] = each
                waiting += [each] if not isinstance(each, FunctionType) else each.__closure__ or ()
    return list(found.values())
