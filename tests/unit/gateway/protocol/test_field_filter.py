"""The policy's data decides: which events, which fields of a session, whether a client may bring tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.protocol import MAX_PROBLEM_CHARS, ClientFrame, about_left_out, left_out_event, read
from ringback.agents.client_policy import ALLOWED_EVENTS, AUDIO_FIELDS, BROWSER, CLIENT_EVENTS, TRUSTED
from tests.unit.gateway.protocol.client_frames import AS_IT_CAME, LOOK_UP, refused_by, said_by, update_of

TUNED = {
    "max_output_tokens": 500,
    "tool_choice": {"type": "function", "name": "look_up"},
    "include": ["item.input_audio_transcription.logprobs"],
    "audio": {"output": {"voice": "marin"}},
}


# — events —


@pytest.mark.parametrize("kind", CLIENT_EVENTS)
def test_an_event_that_the_policy_does_not_name_is_refused(kind: str) -> None:
    event = {**next(each for each in AS_IT_CAME.values() if each["type"] == kind), "event_id": "mine"}
    assert isinstance(read(json.dumps(event), TRUSTED), ClientFrame)
    assert isinstance(read(json.dumps(event), BROWSER), ClientFrame) == (kind in ALLOWED_EVENTS)
    without = TRUSTED.model_copy(update={"events": tuple(name for name in TRUSTED.events if name != kind)})
    refusal = refused_by(without, event)
    assert (refusal.rule, refusal.event_id) == ("forbidden_event", "mine")
    assert kind in refusal.message


# — the fields of a session —


def test_of_a_session_a_browser_sets_how_it_hears_and_is_heard_and_is_told_what_is_not_its_own() -> None:
    frame = update_of(BROWSER, instructions="Obey.", model="x", output_modalities=["text"], tools=[LOOK_UP], **TUNED)
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
    frame = update_of(TRUSTED, instructions="Obey.", model="x", tracing="auto", prompt={"id": "p"}, **TUNED)
    assert frame.event["session"] == {"type": "realtime", **TUNED}
    assert frame.left_out == ("instructions", "model", "tracing", "prompt")


def test_what_a_transcription_is_told_to_expect_is_a_backends_to_say() -> None:
    heard = {"input": {"transcription": {"model": "gpt-transcribe", "prompt": "Towns.", "keywords": ["Bruges"]}}}
    assert update_of(TRUSTED, audio=heard).event["session"]["audio"] == heard
    frame = update_of(BROWSER, audio=heard)
    assert frame.event["session"]["audio"] == {"input": {"transcription": {"model": "gpt-transcribe"}}}
    assert frame.left_out == ("audio.input.transcription.prompt", "audio.input.transcription.keywords")


def test_instructions_can_be_opened_by_name() -> None:
    opened = TRUSTED.model_copy(update={"session": ("instructions",)})
    frame = update_of(opened, instructions="Be kind.", output_modalities=["text"])
    assert frame.event["session"] == {"type": "realtime", "instructions": "Be kind."}
    assert frame.left_out == ("output_modalities",)


@pytest.mark.parametrize("field", AUDIO_FIELDS)
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
    assert update_of(BROWSER, **session).left_out == ()
    frame = update_of(
        BROWSER.model_copy(update={"session": tuple(name for name in AUDIO_FIELDS if name != field)}), **session
    )
    assert frame.left_out == (field,)
    assert frame.is_empty_update


def test_what_is_wrong_in_a_field_that_is_not_the_clients_is_left_out_all_the_same() -> None:
    assert update_of(BROWSER, instructions=7, max_output_tokens="many", tools={}).is_empty_update


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
    refusal = refused_by(TRUSTED, {"type": "session.update", "session": session})
    assert refusal.rule == "invalid_value"
    assert next(iter(session)) in refusal.message


def test_a_field_that_nobody_knows_is_told_wherever_it_stands() -> None:
    detection = {"type": "server_vad", "new": 1}
    frame = update_of(BROWSER, new=1, audio={"input": {"turn_detection": detection, "new": {"a": 1}}, "new": 1})
    assert frame.left_out == ("new", "audio.input.turn_detection.new", "audio.input.new", "audio.new")


def test_null_is_nothing_said_except_where_it_means_off() -> None:
    assert update_of(BROWSER, tools=[]).left_out == ()
    frame = update_of(BROWSER, instructions=None, tools=None, audio={"input": {"turn_detection": None}, "output": None})
    assert frame.left_out == ()
    assert frame.event["session"] == {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


def test_what_is_left_out_is_told_in_bounds() -> None:
    left_out = update_of(BROWSER, **{f"{'x' * 100}{number}": 1 for number in range(100)}).left_out
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
    frame = said_by(BROWSER, type="response.create", response=given)
    assert frame.event["response"] == {"metadata": {"a": "1"}}
    assert frame.left_out == tuple(
        f"response.{name}" for name in ("instructions", "max_output_tokens", "tool_choice", "input")
    )
    frame = said_by(TRUSTED, type="response.create", response={**given, "prompt": {"id": "p"}})
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
    assert said_by(TRUSTED, type="response.create", response=OUT_OF_BAND).event["response"] == OUT_OF_BAND
    refusal = refused_by(BROWSER, {"type": "response.create", "response": {"conversation": "none"}})
    assert refusal.rule == "invalid_value"
    assert "out of band" in refusal.message
