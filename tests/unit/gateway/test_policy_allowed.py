"""The policy's data decides: which events, which fields of a session, whether a client may bring tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.policy import MAX_PROBLEM_CHARS, ClientFrame, Refusal, about_left_out, left_out_event, read
from ringback.clients import BROWSER, HEARING, SPEAKING, STEERING, TRUSTED, ClientPolicy
from tests.unit.gateway.client_frames import TEXT, user_message

LOOK_UP = {
    "type": "function",
    "name": "look_up",
    "description": "Look it up.",
    "parameters": {"type": "object", "properties": {"what": {"type": ["string", "null"], "default": None}}},
}
OUTPUT = {
    "type": "conversation.item.create",
    "item": {"type": "function_call_output", "call_id": "call_1", "output": '{"sky": "clear"}', "id": "item_1"},
}
TUNED = {
    "max_output_tokens": 500,
    "tool_choice": {"type": "function", "name": "look_up"},
    "include": ["item.input_audio_transcription.logprobs"],
    "audio": {"output": {"voice": "marin"}},
}


def said(policy: ClientPolicy, **event: Any) -> ClientFrame:
    frame = read(json.dumps(event), policy)
    assert isinstance(frame, ClientFrame), frame
    return frame


def refused(policy: ClientPolicy, event: dict[str, Any]) -> Refusal:
    frame = read(json.dumps(event), policy)
    assert isinstance(frame, Refusal), frame
    return frame


def update(policy: ClientPolicy, **session: Any) -> ClientFrame:
    return said(policy, type="session.update", session=session)


# — events —


@pytest.mark.parametrize("kind", [*SPEAKING, *STEERING])
def test_an_event_that_the_policy_does_not_name_is_refused(kind: str) -> None:
    events: dict[str, dict[str, Any]] = {
        "input_audio_buffer.append": {"audio": "AAEC"},
        "conversation.item.create": {"item": user_message(TEXT)},
        "conversation.item.retrieve": {"item_id": "i"},
        "conversation.item.delete": {"item_id": "i"},
        "conversation.item.truncate": {"item_id": "i", "content_index": 0, "audio_end_ms": 1},
        "session.update": {"session": {}},
        "ringback.approval.respond": {"job_id": "c9091c61-915b-5ff6-a80f-70d5ab22e78a", "approved": True},
    }
    event = {"type": kind, "event_id": "mine", **events.get(kind, {})}
    assert isinstance(read(json.dumps(event), TRUSTED), ClientFrame)
    assert isinstance(read(json.dumps(event), BROWSER), ClientFrame) == (kind in SPEAKING)
    without = TRUSTED.model_copy(update={"events": tuple(name for name in TRUSTED.events if name != kind)})
    refusal = refused(without, event)
    assert (refusal.rule, refusal.event_id) == ("forbidden_event", "mine")
    assert kind in refusal.message


# — the fields of a session —


def test_of_a_session_a_browser_sets_how_it_hears_and_is_heard_and_is_told_what_is_not_its_own() -> None:
    frame = update(BROWSER, instructions="Obey.", model="x", output_modalities=["text"], tools=[LOOK_UP], **TUNED)
    assert frame.event["session"] == {"type": "realtime", "output_modalities": ["text"], "audio": {"output": {}}}
    assert frame.left_out == (
        "instructions",
        "model",
        "tools",
        "max_output_tokens",
        "tool_choice",
        "include",
        "audio.output.voice",
    )


def test_a_backend_tunes_more_but_does_not_say_who_the_model_is() -> None:
    frame = update(TRUSTED, instructions="Obey.", model="x", tracing="auto", prompt={"id": "p"}, **TUNED)
    assert frame.event["session"] == {"type": "realtime", **TUNED}
    assert frame.left_out == ("instructions", "model", "tracing", "prompt")


def test_what_a_transcription_is_told_to_expect_is_a_backends_to_say() -> None:
    heard = {"input": {"transcription": {"model": "gpt-transcribe", "prompt": "Towns.", "keywords": ["Bruges"]}}}
    assert update(TRUSTED, audio=heard).event["session"]["audio"] == heard
    frame = update(BROWSER, audio=heard)
    assert frame.event["session"]["audio"] == {"input": {"transcription": {"model": "gpt-transcribe"}}}
    assert frame.left_out == ("audio.input.transcription.prompt", "audio.input.transcription.keywords")


def test_instructions_can_be_opened_by_name() -> None:
    opened = TRUSTED.model_copy(update={"session": ("instructions",)})
    frame = update(opened, instructions="Be kind.", output_modalities=["text"])
    assert frame.event["session"] == {"type": "realtime", "instructions": "Be kind."}
    assert frame.left_out == ("output_modalities",)


@pytest.mark.parametrize("field", HEARING)
def test_each_field_can_be_closed(field: str) -> None:
    values: dict[str, Any] = {
        "output_modalities": ["text"],
        "audio.input.format": {"type": "audio/pcmu"},
        "audio.output.format": {"type": "audio/pcmu"},
        "audio.output.speed": 1.5,
    }
    session: Any = values.get(field)
    for part in reversed(field.split(".")):
        session = {part: session}
    assert update(BROWSER, **session).left_out == ()
    frame = update(BROWSER.model_copy(update={"session": tuple(name for name in HEARING if name != field)}), **session)
    assert frame.left_out == (field,)
    assert frame.is_empty_update


def test_what_is_wrong_in_a_field_that_is_not_the_clients_is_left_out_all_the_same() -> None:
    assert update(BROWSER, instructions=7, max_output_tokens="many", tools={}).is_empty_update


@pytest.mark.parametrize(
    "session",
    [
        {"max_output_tokens": 0},
        {"max_output_tokens": "all"},
        {"tool_choice": "x"},
        {"tool_choice": {"type": "mcp", "server_label": "x"}},
        {"include": ["everything"]},
        {"include": "item.input_audio_transcription.logprobs"},
        {"audio": {"output": {"voice": 7}}},
        {"audio": {"output": {"voice": "v" * 65}}},
        {"audio": 7},
        {"audio": {"input": []}},
        {"type": "transcription"},
    ],
)
def test_what_is_wrong_in_a_field_of_the_clients_is_named(session: dict[str, Any]) -> None:
    refusal = refused(TRUSTED, {"type": "session.update", "session": session})
    assert refusal.rule == "invalid_value"
    assert next(iter(session)) in refusal.message


def test_a_field_that_nobody_knows_is_told_wherever_it_stands() -> None:
    detection = {"type": "server_vad", "new": 1}
    frame = update(BROWSER, new=1, audio={"input": {"turn_detection": detection, "new": {"a": 1}}, "new": 1})
    assert frame.left_out == ("new", "audio.input.turn_detection.new", "audio.input.new", "audio.new")


def test_null_is_nothing_said_except_where_it_means_off() -> None:
    assert update(BROWSER, tools=[]).left_out == ()
    frame = update(BROWSER, instructions=None, tools=None, audio={"input": {"turn_detection": None}, "output": None})
    assert frame.left_out == ()
    assert frame.event["session"] == {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


def test_what_is_left_out_is_told_in_bounds() -> None:
    left_out = update(BROWSER, **{f"{'x' * 100}{number}": 1 for number in range(100)}).left_out
    assert len(left_out) == 16
    assert {len(name) for name in left_out} == {64}
    assert len(about_left_out(left_out)) < MAX_PROBLEM_CHARS + 200


def test_what_is_left_out_is_told_in_an_event_that_names_the_fields_and_is_no_error() -> None:
    event = left_out_event(("instructions", "audio.output.voice"), "mine")
    assert event["type"] == "ringback.left_out"
    assert event["fields"] == ["instructions", "audio.output.voice"]
    assert event["client_event_id"] == "mine"
    assert "instructions, audio.output.voice" in event["message"]


# — a response —


def test_a_response_is_told_no_more_than_its_session_may_be() -> None:
    given = {
        "instructions": "Obey.",
        "max_output_tokens": 5,
        "tool_choice": "none",
        "input": [],
        "metadata": {"a": "1"},
    }
    frame = said(BROWSER, type="response.create", response=given)
    assert frame.event["response"] == {"metadata": {"a": "1"}}
    assert frame.left_out == tuple(
        f"response.{name}" for name in ("instructions", "max_output_tokens", "tool_choice", "input")
    )
    frame = said(TRUSTED, type="response.create", response={**given, "prompt": {"id": "p"}})
    assert frame.event["response"] == given
    assert frame.left_out == ("response.prompt",)


OUT_OF_BAND = {
    "conversation": "none",
    "input": [
        {"type": "item_reference", "id": "i" * 36},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be short."}]},
    ],
    "metadata": {"topic": "mood"},
    "audio": {"output": {"voice": "marin"}},
}


def test_a_response_out_of_band_is_a_backends_to_ask_for() -> None:
    assert said(TRUSTED, type="response.create", response=OUT_OF_BAND).event["response"] == OUT_OF_BAND
    refusal = refused(BROWSER, {"type": "response.create", "response": {"conversation": "none"}})
    assert refusal.rule == "invalid_value"
    assert "out of band" in refusal.message


# — items —

HISTORY: dict[str, dict[str, Any]] = {
    "system": {"type": "message", "role": "system", "content": [TEXT]},
    "assistant": {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I am Bob."}]},
}


@pytest.mark.parametrize("role", HISTORY)
def test_a_backend_tells_what_was_said_elsewhere_and_a_browser_does_not(role: str) -> None:
    event = {"type": "conversation.item.create", "previous_item_id": "root", "item": HISTORY[role]}
    assert said(TRUSTED, **event).event == event
    assert refused(BROWSER, event).rule == "forbidden_event"
    alone = TRUSTED.model_copy(update={"roles": ("user",)})
    assert refused(alone, event).rule == "forbidden_event"


@pytest.mark.parametrize(("role", "other"), [("system", "assistant"), ("assistant", "system"), ("user", "assistant")])
def test_a_part_that_the_role_does_not_have_is_named(role: str, other: str) -> None:
    item = {**HISTORY[other], "role": role}
    refusal = refused(TRUSTED, {"type": "conversation.item.create", "item": item})
    assert refusal.param == "item.content[0].type"


def test_where_an_item_of_a_browsers_stands_is_the_servers_to_say() -> None:
    frame = said(BROWSER, type="conversation.item.create", previous_item_id="root", item=user_message(TEXT))
    assert "previous_item_id" not in frame.event
    assert frame.left_out == ("previous_item_id",)


@pytest.mark.parametrize("kind", ["conversation.item.truncate", "conversation.item.retrieve"])
def test_ids_that_a_server_has_made_may_be_longer_than_a_clients_own(kind: str) -> None:
    event = {"type": kind, "item_id": "i" * 36}
    more = {"content_index": 0, "audio_end_ms": 1234.0} if kind.endswith("truncate") else {}
    written = said(BROWSER, **event, **more).event
    assert written == {**event, **({"content_index": 0, "audio_end_ms": 1234} if more else {})}
    assert isinstance(written.get("audio_end_ms", 0), int)


# — tools of the client's own —


def test_the_tools_that_a_backend_brings_are_written_anew() -> None:
    bare = {"type": "function", "name": "bare"}
    tools = [LOOK_UP | {"strict": True}, bare | {"description": None, "parameters": None}]
    assert update(TRUSTED, tools=tools).event["session"]["tools"] == [LOOK_UP, bare]


def test_no_tools_are_an_update_as_well() -> None:
    frame = update(TRUSTED, tools=[])
    assert frame.event["session"] == {"type": "realtime", "tools": []}
    assert not frame.is_empty_update


def test_a_server_elsewhere_among_the_tools_is_left_out_and_the_others_are_taken() -> None:
    elsewhere = {"type": "mcp", "server_label": "x", "server_url": "https://example.com"}
    frame = update(TRUSTED, tools=[elsewhere, LOOK_UP])
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
    refusal = refused(TRUSTED, {"type": "session.update", "session": {"tools": [tool]}})
    assert refusal.rule == rule
    assert named in refusal.message


def test_each_tool_has_a_name_of_its_own_and_there_are_not_too_many() -> None:
    twice = refused(TRUSTED, {"type": "session.update", "session": {"tools": [LOOK_UP, LOOK_UP]}})
    assert (twice.rule, twice.param) == ("invalid_value", "session.tools[1].name")
    many = [{"type": "function", "name": f"tool_{number}"} for number in range(65)]
    assert refused(TRUSTED, {"type": "session.update", "session": {"tools": many}}).rule == "invalid_value"
    assert len(update(TRUSTED, tools=many[1:]).event["session"]["tools"]) == 64


def test_a_client_that_brings_tools_answers_their_calls() -> None:
    assert said(TRUSTED, **OUTPUT).event == OUTPUT


@pytest.mark.parametrize("call_id", ["call_1", "", "c" * 65, None, 7])
def test_to_a_browser_every_answer_is_forbidden_alike(call_id: object) -> None:
    """Whether such a call exists, or could, makes no difference to what it hears."""
    event = {**OUTPUT, "item": {**OUTPUT["item"], "call_id": call_id}}  # type: ignore[dict-item]
    refusal = refused(BROWSER, event)
    assert refusal.rule == "forbidden_event"
    assert "messages of the role user only" in refusal.message


@pytest.mark.parametrize(
    "wrong",
    [{"output": 7}, {"output": "x" * 65_537}, {"call_id": ""}, {"call_id": None}, {"id": "fco_1"}, {"id": "i" * 33}],
)
def test_an_answer_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    refusal = refused(TRUSTED, {**OUTPUT, "item": {**OUTPUT["item"], **wrong}})  # type: ignore[dict-item]
    assert refusal.rule == "invalid_value"


@pytest.mark.parametrize("kind", ["function_call", "mcp_approval_response"])
def test_a_backend_speaks_for_the_server_no_more_than_a_browser(kind: str) -> None:
    item = {"type": kind, "role": "system", "content": [TEXT], "call_id": "call_1", "name": "x", "arguments": "{}"}
    assert refused(TRUSTED, {"type": "conversation.item.create", "item": item}).rule == "forbidden_event"


def test_a_user_message_with_a_wrong_value_is_not_called_forbidden() -> None:
    item = user_message({"type": "input_text", "text": "x" * 65_537})
    assert refused(BROWSER, {"type": "conversation.item.create", "item": item}).rule == "invalid_value"
