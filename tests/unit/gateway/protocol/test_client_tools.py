"""The functions that a client brings, and the answers to their calls."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.agents.client_policy import BROWSER, TRUSTED
from tests.unit.gateway.protocol.client_frames import LOOK_UP, TEXT, refused_by, said_by, update_of, user_message

OUTPUT = {
    "type": "conversation.item.create",
    "item": {"type": "function_call_output", "call_id": "call_1", "output": '{"sky": "clear"}', "id": "item_1"},
}


def test_the_tools_that_a_backend_brings_are_written_anew() -> None:
    bare = {"type": "function", "name": "bare"}
    tools = [LOOK_UP | {"strict": True}, bare | {"description": None, "parameters": None}]
    assert update_of(TRUSTED, tools=tools).event["session"]["tools"] == [LOOK_UP, bare]


def test_no_tools_are_an_update_as_well() -> None:
    frame = update_of(TRUSTED, tools=[])
    assert frame.event["session"] == {"type": "realtime", "tools": []}
    assert not frame.is_empty_update


def test_a_server_elsewhere_among_the_tools_is_left_out_and_the_others_are_taken() -> None:
    elsewhere = {"type": "mcp", "server_label": "x", "server_url": "https://example.com"}
    frame = update_of(TRUSTED, tools=[elsewhere, LOOK_UP])
    assert frame.event["session"]["tools"] == [LOOK_UP]
    assert frame.left_out == ("tools[0] (mcp)",)


NO_TOOLS: dict[str, tuple[Any, str, str]] = {
    "a tool of no kind": (LOOK_UP | {"type": "wizard"}, "invalid_value", "tools[0]"),
    "no name": ({"type": "function"}, "invalid_value", "name"),
    "a name of no letters": (LOOK_UP | {"name": ""}, "invalid_value", "name"),
    "a name with a dot": (LOOK_UP | {"name": "a.b"}, "invalid_value", "name"),
    "a name with a line's end": (LOOK_UP | {"name": "a\n"}, "invalid_value", "name"),
    "a long name": (LOOK_UP | {"name": "a" * 65}, "invalid_value", "name"),
    "a long description": (LOOK_UP | {"description": "a" * 16_385}, "invalid_value", "description"),
    "parameters that are a list": (LOOK_UP | {"parameters": []}, "invalid_value", "parameters"),
    "parameters of another type": (LOOK_UP | {"parameters": {"type": "string"}}, "invalid_value", "object"),
    "long parameters": (LOOK_UP | {"parameters": {"description": "a" * 32_768}}, "too_large", "parameters"),
}


@pytest.mark.parametrize(("tool", "rule", "named"), NO_TOOLS.values(), ids=NO_TOOLS)
def test_what_is_no_tool_is_refused(tool: dict[str, Any], rule: str, named: str) -> None:
    refusal = refused_by(TRUSTED, {"type": "session.update", "session": {"tools": [tool]}})
    assert refusal.rule == rule
    assert named in refusal.message


def test_each_tool_has_a_name_of_its_own_and_there_are_not_too_many() -> None:
    twice = refused_by(TRUSTED, {"type": "session.update", "session": {"tools": [LOOK_UP, LOOK_UP]}})
    assert (twice.rule, twice.param) == ("invalid_value", "session.tools[1].name")
    many = [{"type": "function", "name": f"tool_{number}"} for number in range(65)]
    assert refused_by(TRUSTED, {"type": "session.update", "session": {"tools": many}}).rule == "invalid_value"
    assert len(update_of(TRUSTED, tools=many[1:]).event["session"]["tools"]) == 64


def test_a_client_that_brings_tools_answers_their_calls() -> None:
    assert said_by(TRUSTED, **OUTPUT).event == OUTPUT


@pytest.mark.parametrize("call_id", ["call_1", "", "c" * 65, None, 7])
def test_to_a_browser_every_answer_is_forbidden_alike(call_id: object) -> None:
    """Whether such a call exists, or could, makes no difference to what it hears."""
    event = {**OUTPUT, "item": {**OUTPUT["item"], "call_id": call_id}}  # type: ignore[dict-item]
    refusal = refused_by(BROWSER, event)
    assert refusal.rule == "forbidden_event"
    assert "messages of the role user only" in refusal.message


@pytest.mark.parametrize(
    "wrong",
    [{"output": 7}, {"output": "x" * 65_537}, {"call_id": ""}, {"call_id": None}, {"id": "fco_1"}, {"id": "i" * 33}],
)
def test_an_answer_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    refusal = refused_by(TRUSTED, {**OUTPUT, "item": {**OUTPUT["item"], **wrong}})  # type: ignore[dict-item]
    assert refusal.rule == "invalid_value"


@pytest.mark.parametrize("kind", ["function_call", "mcp_approval_response"])
def test_a_backend_speaks_for_the_server_no_more_than_a_browser(kind: str) -> None:
    item = {"type": kind, "role": "system", "content": [TEXT], "call_id": "call_1", "name": "x", "arguments": "{}"}
    assert refused_by(TRUSTED, {"type": "conversation.item.create", "item": item}).rule == "forbidden_event"


def test_a_user_message_with_a_wrong_value_is_not_called_forbidden() -> None:
    item = user_message({"type": "input_text", "text": "x" * 65_537})
    assert refused_by(BROWSER, {"type": "conversation.item.create", "item": item}).rule == "invalid_value"
