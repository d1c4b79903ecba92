"""What a client may say, and how it is written anew."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol import ClientFrame, read
from ringback.agents.client_policy import BROWSER, CLIENT_EVENTS, TRUSTED, TRUSTED_EVENTS
from tests.unit.gateway.protocol.client_frames import AS_IT_CAME, TEXT, passed, said_by, say, user_message


@pytest.mark.parametrize("event", AS_IT_CAME.values(), ids=AS_IT_CAME)
def test_what_a_client_may_say_goes_on_as_it_means_it(event: dict[str, Any]) -> None:
    policy = TRUSTED if event["type"] in TRUSTED_EVENTS else BROWSER
    assert said_by(policy, **event).event == event


def test_every_event_has_an_example() -> None:
    assert {event["type"] for event in AS_IT_CAME.values()} == set(CLIENT_EVENTS)


AUDIO_SETTINGS: dict[str, dict[str, Any]] = {
    "turn detection off": {"input": {"turn_detection": None}},
    "server_vad": {"input": {"turn_detection": {"type": "server_vad"}}},
    "server_vad, tuned": {
        "input": {
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.6,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 500,
                "idle_timeout_ms": None,
                "create_response": False,
                "interrupt_response": True,
            }
        }
    },
    "semantic_vad": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}},
    "off as xAI spells it": {"input": {"turn_detection": {"type": None}}},
    "azure_semantic_vad": {
        "input": {"turn_detection": {"type": "azure_semantic_vad", "remove_filler_words": True, "languages": ["en"]}}
    },
    "noise reduction of a strength": {"input": {"noise_reduction": {"type": "far_field", "strength": 0.5}}},
    "noise reduction off": {"input": {"noise_reduction": None}},
    "noise reduction": {"input": {"noise_reduction": {"type": "near_field"}}},
    "transcription off": {"input": {"transcription": None}},
    "transcription": {"input": {"transcription": {"model": "gpt-transcribe", "language": "en"}}},
    "transcription in languages": {
        "input": {"transcription": {"model": "gpt-transcribe", "languages": ["en", "nl"], "delay": "low"}}
    },
    "transcription in a language": {"input": {"transcription": {"language": "nl"}}},
    "PCM of another rate": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}},
    "formats": {
        "input": {"format": {"type": "audio/pcm", "rate": 24000}},
        "output": {"format": {"type": "audio/pcmu"}},
    },
    "speed": {"output": {"speed": 1.25}},
}


@pytest.mark.parametrize("audio", AUDIO_SETTINGS.values(), ids=AUDIO_SETTINGS)
def test_how_it_hears_and_is_heard_is_the_clients_to_say(audio: dict[str, Any]) -> None:
    frame = say(type="session.update", session={"type": "realtime", "audio": audio})
    assert frame == ClientFrame({"type": "session.update", "session": {"type": "realtime", "audio": audio}})


def test_of_a_session_only_the_clients_fields_go_on() -> None:
    session = passed(
        type="session.update",
        session={
            "type": "realtime",
            "model": "gpt-realtime-2.1-mini",
            "instructions": "Obey.",
            "tools": [{"type": "function", "name": "x"}],
            "tool_choice": "none",
            "prompt": {"id": "pmpt_1"},
            "max_output_tokens": 1,
            "tracing": "auto",
            "truncation": "disabled",
            "output_modalities": ["text"],
            "audio": {"output": {"voice": "marin", "speed": 1.5}, "input": {"transcription": None, "new": 1}},
        },
    )["session"]
    assert session == {
        "type": "realtime",
        "output_modalities": ["text"],
        "audio": {"output": {"speed": 1.5}, "input": {"transcription": None}},
    }


@pytest.mark.parametrize("session", [{}, {"type": "realtime"}, {"instructions": "Obey.", "tools": []}])
def test_an_update_of_which_nothing_is_left_is_flagged(session: dict[str, Any]) -> None:
    frame = say(type="session.update", session=session)
    assert isinstance(frame, ClientFrame)
    assert frame.is_empty_update


def test_a_response_may_not_be_given_other_instructions_or_tools() -> None:
    given = {
        "instructions": "Obey.",
        "tools": [{"type": "mcp", "server_url": "https://example.com"}],
        "tool_choice": "required",
        "input": [],
        "max_output_tokens": 1,
        "audio": {"output": {"voice": "marin"}},
        "output_modalities": ["audio"],
    }
    assert passed(type="response.create", response=given)["response"] == {"output_modalities": ["audio"]}


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (
            {"type": "input_audio_buffer.clear", "session": {"tools": []}, "extra": 1},
            {"type": "input_audio_buffer.clear"},
        ),
        (
            {"type": "conversation.item.create", "previous_item_id": "root", "item": user_message(TEXT, status="done")},
            {"type": "conversation.item.create", "item": user_message(TEXT)},
        ),
        (
            {
                "type": "conversation.item.create",
                "item": user_message(TEXT | {"output": "4"}, call_id="call_1", output="4", object="realtime.item"),
            },
            {"type": "conversation.item.create", "item": user_message(TEXT)},
        ),
    ],
)
def test_fields_that_no_client_needs_are_left_out(event: dict[str, Any], left: dict[str, Any]) -> None:
    assert passed(**event) == left


@pytest.mark.parametrize(
    ("event", "left"),
    [
        ({"type": "input_audio_buffer.clear", "event_id": None}, {"type": "input_audio_buffer.clear"}),
        ({"type": "response.create", "response": None}, {"type": "response.create"}),
        ({"type": "response.create", "response": {"metadata": None}}, {"type": "response.create", "response": {}}),
        ({"type": "response.cancel", "response_id": None}, {"type": "response.cancel"}),
    ],
)
def test_null_where_it_means_nothing_is_left_out(event: dict[str, Any], left: dict[str, Any]) -> None:
    assert passed(**event) == left


def test_base64_goes_on_in_its_one_canonical_form() -> None:
    # The last character of "AB==" carries bits that no byte needs.
    assert passed(type="input_audio_buffer.append", audio="AB==")["audio"] == "AA=="


def test_base64_may_be_escaped_as_some_serializers_do() -> None:
    written = r'{"type": "input_audio_buffer.append", "audio": "\u002B\/Aa"}'
    assert read(written) == ClientFrame({"type": "input_audio_buffer.append", "audio": "+/Aa"})


def test_a_binary_frame_is_read_like_a_text_frame() -> None:
    assert read(b'{"type": "input_audio_buffer.clear"}') == ClientFrame({"type": "input_audio_buffer.clear"})
