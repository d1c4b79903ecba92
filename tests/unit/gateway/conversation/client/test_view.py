"""What a client sees: its own conversation, and nothing of functions, instructions and tools."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.client.view import ClientView
from ringback.agents.client_policy import TRUSTED
from tests.unit.gateway.conversation.script import WEATHER, Script, created, done, function_call, updated

SESSION_ID = "6ad5b6a2-3d0c-8f2b-9a39-3c1a6f0d2b11"


def message(item_id: str, role: str = "assistant") -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "content": []}


def hidden(item_id: str, kind: str = "function_call") -> dict[str, Any]:
    return {"id": item_id, "type": kind, "call_id": "call_1"}


def added(item: dict[str, Any], previous: str | None, kind: str = "added") -> dict[str, Any]:
    return {"type": f"conversation.item.{kind}", "item": item, "previous_item_id": previous}


VISIBLE = [
    {"type": "response.output_audio.delta", "item_id": "item_m", "delta": "AAAA"},
    {"type": "response.output_audio_transcript.delta", "item_id": "item_m", "delta": "Hello"},
    {"type": "response.content_part.added", "item_id": "item_m", "part": {"type": "audio"}},
    {"type": "input_audio_buffer.speech_started", "item_id": "item_u", "audio_start_ms": 10},
    {"type": "conversation.item.input_audio_transcription.completed", "item_id": "item_u", "transcript": "Hi"},
    {"type": "response.something_new", "value": {"tools": 1}},
    added(message("item_m"), "item_u"),
    created("R1"),
]
FOR_TRUSTED = [
    {"type": "rate_limits.updated", "rate_limits": []},
    {"type": "something.new", "value": {"tools": 1}},
]
"""What a stranger is not told: of the server's account, and what nobody here has heard of."""


@pytest.mark.parametrize("event", VISIBLE, ids=lambda event: str(event["type"]))
def test_the_conversation_is_shown_as_it_came(event: dict[str, Any]) -> None:
    assert ClientView(SESSION_ID).show(event) == event


@pytest.mark.parametrize("event", FOR_TRUSTED, ids=lambda event: str(event["type"]))
def test_what_is_of_the_servers_account_or_unknown_is_for_trusted_clients_alone(event: dict[str, Any]) -> None:
    assert ClientView(SESSION_ID).show(event) is None
    assert ClientView(SESSION_ID, TRUSTED).show(event) == event


HIDDEN = [
    {"type": "response.function_call_arguments.delta", "item_id": "item_f", "delta": "{"},
    {"type": "response.function_call_arguments.done", "item_id": "item_f", "arguments": "{}"},
    {"type": "response.mcp_call_arguments.delta", "item_id": "item_x", "delta": "{"},
    {"type": "response.mcp_call.completed", "item_id": "item_x"},
    {"type": "mcp_list_tools.completed", "item_id": "item_x"},
    {"type": "response.output_item.added", "item": hidden("item_f")},
    {"type": "response.output_item.done", "item": hidden("item_f")},
    added(hidden("item_f"), "item_m"),
    added(hidden("item_f"), None, "done"),
    added(hidden("item_o", "function_call_output"), "item_f"),
    {"type": "conversation.item.retrieved", "item": hidden("item_o", "function_call_output")},
    {"type": "conversation.item.created", "item": hidden("item_l", "mcp_list_tools")},
]


@pytest.mark.parametrize("event", HIDDEN, ids=lambda event: str(event["type"]))
def test_the_servers_business_is_not(event: dict[str, Any]) -> None:
    assert ClientView(SESSION_ID).show(event) is None


@pytest.mark.parametrize("kind", ["web_search_call", "reasoning", "something_new"])
def test_an_item_that_is_no_message_is_for_trusted_clients_alone(kind: str) -> None:
    """A provider's own tools are the server's business as well, and so is what nobody here has heard of."""
    item: dict[str, Any] = {"id": "item_w", "type": kind, "action": {"query": "?"}}
    came = {"type": "response.output_item.done", "item": item}
    ended = done("R1", "completed", item, message("item_m"))
    stranger, trusted = ClientView(SESSION_ID), ClientView(SESSION_ID, TRUSTED)
    assert stranger.show(came) is None
    assert stranger.show({"type": "response.web_search_call.searching", "item_id": "item_w"}) is None
    shown = stranger.show(ended)
    assert shown is not None
    assert shown["response"]["output"] == [message("item_m")]
    assert trusted.show(came) == came
    assert trusted.show(ended) == ended


def test_what_names_a_hidden_item_is_hidden_with_it() -> None:
    view = ClientView(SESSION_ID)
    view.show({"type": "response.output_item.added", "item": hidden("item_f")})
    assert view.show({"type": "response.content_part.added", "item_id": "item_f"}) is None
    assert view.show({"type": "conversation.item.deleted", "item_id": "item_f"}) is None
    assert view.show({"type": "conversation.item.deleted", "item_id": "item_m"}) is not None


def test_an_item_after_hidden_ones_follows_the_visible_one_before_them() -> None:
    view = ClientView(SESSION_ID)
    view.show(added(message("item_u", "user"), None))
    view.show({"type": "response.output_item.added", "item": hidden("item_f")})
    view.show(added(hidden("item_f"), "item_u"))
    view.show(added(hidden("item_f"), None, "done"))  # gpt-realtime names no predecessor here
    view.show(added(hidden("item_o", "function_call_output"), "item_f"))
    shown = view.show(added(message("item_m"), "item_o"))
    assert shown is not None
    assert shown["previous_item_id"] == "item_u"
    committed = view.show({"type": "input_audio_buffer.committed", "item_id": "item_v", "previous_item_id": "item_f"})
    assert committed is not None
    assert committed["previous_item_id"] == "item_u"


def test_a_conversation_that_begins_with_a_hidden_item_begins_at_its_root() -> None:
    view = ClientView(SESSION_ID)
    view.show(added(hidden("item_f"), None))
    shown = view.show(added(message("item_m"), "item_f"))
    assert shown is not None
    assert shown["previous_item_id"] is None


def test_items_that_name_each_other_are_no_endless_search() -> None:
    view = ClientView(SESSION_ID)
    view.show(added(hidden("item_f"), "item_o"))
    view.show(added(hidden("item_o"), "item_f"))
    assert view.show(added(message("item_m"), "item_o")) is not None


def test_a_response_is_shown_without_its_calls_instructions_and_tools() -> None:
    event = done("R1", "completed", message("item_m"), function_call("call_1"))
    event["response"] |= {"instructions": "Be kind.", "tools": [WEATHER.for_model()], "tool_choice": "auto"}
    shown = ClientView(SESSION_ID).show(event)
    assert shown is not None
    assert shown["response"] == {
        "id": "R1",
        "conversation_id": "conv_1",
        "status": "completed",
        "output": [message("item_m")],
    }
    assert len(event["response"]["output"]) == 2, "the event itself is left as it came"


@pytest.mark.parametrize("kind", ["session.created", "session.updated"])
def test_a_session_is_never_shown_with_what_is_the_servers(kind: str) -> None:
    script = Script().opened()
    secret = updated(script, prompt={"id": "pmpt_1"}, tracing="auto") | {"type": kind}
    assert script.model(secret) == [f"client: {kind}"]
    shown = script.to_client[0]["session"]
    assert shown == {
        "type": "realtime",
        "id": SESSION_ID,
        "model": "gpt-realtime-2.1",
        "tools": [],
        "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": True}}},
    }


def test_a_reasoning_models_turn_shows_its_commentary_and_not_its_call() -> None:
    """A spoken message and a call in one response, their events interleaved (gpt-realtime-2.1)."""
    view = ClientView(SESSION_ID)
    say, ask = message("item_m") | {"phase": "commentary"}, hidden("item_f")
    events = [
        created("R1"),
        {"type": "response.output_item.added", "output_index": 0, "item": say},
        added(say, "item_u"),
        {"type": "response.output_text.delta", "item_id": "item_m", "delta": "I'll check"},
        {"type": "response.output_item.added", "output_index": 1, "item": ask},
        added(ask, "item_m"),
        {"type": "response.function_call_arguments.delta", "item_id": "item_f", "delta": "{}"},
        {"type": "response.output_text.done", "item_id": "item_m", "text": "I'll check."},
        added(say, "item_u", "done"),
        {"type": "response.output_item.done", "output_index": 0, "item": say},
        added(ask, "item_m", "done"),
        {"type": "response.output_item.done", "output_index": 1, "item": ask},
        done("R1", "completed", say, ask),
    ]
    shown = [event for event in map(view.show, events) if event is not None]
    assert [event["type"] for event in shown] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.output_text.delta",
        "response.output_text.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert shown[-1]["response"]["output"] == [say]
    assert "call_1" not in str(shown)


RAW = {
    "type": "invalid_request_error",
    "code": "rate_limit_exceeded",
    "message": "Rate limit reached for gpt-realtime in organization org-secret on tokens per min.",
    "param": None,
    "event_id": "mine",
}


def test_an_error_tells_a_stranger_its_code_and_nothing_of_the_account() -> None:
    shown = ClientView(SESSION_ID).error(RAW)
    assert "org-secret" not in str(shown)
    assert (shown["code"], shown["event_id"]) == ("rate_limit_exceeded", "mine")
    assert ClientView(SESSION_ID, TRUSTED).error(RAW) == RAW


def test_a_code_that_is_none_is_not_passed_on() -> None:
    shown = ClientView(SESSION_ID).error({**RAW, "code": "see org-secret, please"})
    assert shown["code"] is None
    assert "org-secret" not in str(shown)


def test_so_it_is_where_a_response_has_failed_or_a_transcription() -> None:
    failed = {"id": "R1", "status": "failed", "status_details": {"type": "failed", "error": RAW}}
    shown = ClientView(SESSION_ID).show({"type": "response.done", "response": failed})
    assert shown is not None
    assert "org-secret" not in str(shown)
    event = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u", "error": RAW}
    shown = ClientView(SESSION_ID).show(event)
    assert shown is not None
    assert "org-secret" not in str(shown)


def test_a_trusted_client_sees_instructions_and_tools() -> None:
    session = {"instructions": "Be kind.", "tools": [{"name": "weather"}], "model": "m"}
    shown = ClientView(SESSION_ID, TRUSTED).show({"type": "session.updated", "session": session})
    assert shown is not None
    assert shown["session"] == {**session, "id": SESSION_ID}
