"""What a client may not say, and what it hears about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.protocol import MAX_EVENT_ID_CHARS
from tests.unit.gateway.protocol.client_frames import TEXT, refusal, user_message

FORBIDDEN: dict[str, tuple[dict[str, Any], str]] = {
    "delete": ({"type": "conversation.item.delete", "item_id": "item_1"}, "the agent's policy"),
    "output buffer": ({"type": "output_audio_buffer.clear"}, "conversation.item.truncate"),
    "an answer to a function": (
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": "call_1", "output": "4"},
        },
        "messages of the role user only",
    ),
    "a call": (
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call", "call_id": "call_1", "name": "x", "arguments": "{}"},
        },
        "messages of the role user only",
    ),
    "an approval": (
        {
            "type": "conversation.item.create",
            "item": {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True},
        },
        "messages of the role user only",
    ),
    "system": (
        {"type": "conversation.item.create", "item": user_message(TEXT) | {"role": "system"}},
        "messages of the role user only",
    ),
    "assistant": (
        {"type": "conversation.item.create", "item": user_message(TEXT) | {"role": "assistant"}},
        "messages of the role user only",
    ),
    "no role": (
        {"type": "conversation.item.create", "item": {"type": "message", "content": [TEXT]}},
        "messages of the role user only",
    ),
}


@pytest.mark.parametrize(("event", "said"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_client_does_not_speak_for_the_server(event: dict[str, Any], said: str) -> None:
    refused = refusal(json.dumps(event | {"event_id": "mine"}))
    assert refused.code == "forbidden_event"
    assert said in refused.message
    assert refused.event_id == "mine"


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "unknown type": ({"type": "session.destroy"}, "session.destroy"),
    "a server's type": ({"type": "response.done", "response": {}}, "response.done"),
    "type a number": ({"type": 1}, "Expected `str`"),
    "type a list": ({"type": []}, "Expected `str`"),
    "type an object": ({"type": {"a": 1}}, "Expected `str`"),
    "out of band": ({"type": "response.create", "response": {"conversation": "none"}}, "out of band"),
    "the assistant's words": (
        {"type": "conversation.item.create", "item": user_message({"type": "output_text", "text": "Yes."})},
        "item.content[0]",
    ),
    "no audio": ({"type": "input_audio_buffer.append"}, "`audio`"),
    "audio that is none": ({"type": "input_audio_buffer.append", "audio": "A"}, "base64"),
    "base64 of another alphabet": ({"type": "input_audio_buffer.append", "audio": "A-_="}, "base64"),
    "padding in the middle": ({"type": "input_audio_buffer.append", "audio": "AA==AAAA"}, "base64"),
    "audio a number": ({"type": "input_audio_buffer.append", "audio": 7}, "$.audio"),
    "event id a number": ({"type": "input_audio_buffer.clear", "event_id": 7}, "$.event_id"),
    "event id too long": ({"type": "input_audio_buffer.clear", "event_id": "x" * 513}, "512"),
    "event id of ours": ({"type": "input_audio_buffer.clear", "event_id": "rb_speak_1"}, "'rb_'"),
    "item id of ours": (
        {"type": "conversation.item.create", "item": user_message(TEXT, id="fco_abc")},
        "'fco_'",
    ),
    "negative time": (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
        "$.audio_end_ms",
    ),
    "time a flag": (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": True},
        "$.audio_end_ms",
    ),
    "item id empty": (
        {"type": "conversation.item.truncate", "item_id": "", "content_index": 0, "audio_end_ms": 1},
        "$.item_id",
    ),
    "no session": ({"type": "session.update"}, "`session`"),
    "session null": ({"type": "session.update", "session": None}, "$.session"),
    "turn detection of no type": (
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"threshold": 0.5}}}}},
        "`type`",
    ),
    "turn detection of another type": (
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "none"}}}}},
        "'none'",
    ),
    "speed": ({"type": "session.update", "session": {"audio": {"output": {"speed": 9}}}}, "speed"),
    "modalities without end": (
        {"type": "session.update", "session": {"output_modalities": ["text"] * 3}},
        "$.session.output_modalities",
    ),
}


@pytest.mark.parametrize(("event", "said"), INVALID.values(), ids=INVALID)
def test_what_is_wrong_is_named(event: dict[str, Any], said: str) -> None:
    refused = refusal(json.dumps(event))
    assert refused.code == "invalid_value"
    assert said in refused.message


def test_an_item_id_longer_than_the_api_takes_is_refused() -> None:
    refused = refusal(json.dumps({"type": "conversation.item.create", "item": user_message(TEXT, id="i" * 33)}))
    assert "$.item.id" in refused.message


DEEP = "[" * 100_000 + "]" * 100_000
TRUNCATE = '{"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": %s}'
MALFORMED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "invalid_json"),
    "no bytes": (b"", "invalid_json"),
    "not JSON": ("hello", "invalid_json"),
    "null": ("null", "invalid_json"),
    "a list": ("[]", "invalid_json"),
    "a string": ('"input_audio_buffer.clear"', "invalid_json"),
    "cut off": ('{"type": "input_audio_buffer.clear"', "invalid_json"),
    "two values": ('{"type": "input_audio_buffer.clear"} {}', "invalid_json"),
    "a comma too many": ('{"type": "input_audio_buffer.clear",}', "invalid_json"),
    "a comment": ('{"type": "input_audio_buffer.clear"} // yes', "invalid_json"),
    "a byte order mark": ('\ufeff{"type": "input_audio_buffer.clear"}', "invalid_json"),
    "a byte order mark, binary": (b'\xef\xbb\xbf{"type": "input_audio_buffer.clear"}', "invalid_json"),
    "not UTF-8": (b"\xff\xfe", "invalid_json"),
    "UTF-16": ('{"type": "input_audio_buffer.clear"}'.encode("utf-16-le"), "invalid_json"),
    "NaN": (TRUNCATE % "NaN", "invalid_json"),
    "infinite": (TRUNCATE % "-Infinity", "invalid_json"),
    "5,000 digits": (TRUNCATE % ("9" * 5_000), "invalid_value"),
    "half a surrogate pair": ('{"type": "input_audio_buffer.clear", "event_id": "\\ud800"}', "invalid_json"),
    "half a surrogate pair, raw": ('{"type": "input_audio_buffer.clear", "event_id": "\ud800"}', "invalid_json"),
    "deep as a value": ('{"type": "input_audio_buffer.clear", "x": ' + DEEP + "}", "too_deep"),
    "deep as the type": ('{"type": ' + DEEP + "}", "too_deep"),
    "deep as the frame": (DEEP, "too_deep"),
    "deep and never ending": ('{"type": ' * 20_000, "too_deep"),
    "no type": ("{}", "invalid_event"),
    "a null type": ('{"type": null}', "invalid_event"),
}


@pytest.mark.parametrize(("frame", "code"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_frame_is_refused_and_nothing_else_happens(frame: str | bytes, code: str) -> None:
    assert refusal(frame).code == code


def test_a_refusal_is_an_error_event_that_names_the_clients_event() -> None:
    assert refusal('{"type": "conversation.item.delete", "item_id": "i", "event_id": "mine"}').as_event("rb_1") == {
        "type": "error",
        "event_id": "rb_1",
        "error": {
            "type": "invalid_request_error",
            "code": "forbidden_event",
            "message": "A client may not send conversation.item.delete: the agent's policy for it does not allow it.",
            "param": None,
            "event_id": "mine",
        },
    }


@pytest.mark.parametrize("frame", [{"type": "x" * 1_000_000}, {"type": "x", "event_id": "y" * 1_000_000}])
def test_a_refusal_is_short_however_long_the_frame_was(frame: dict[str, str]) -> None:
    assert len(json.dumps(refusal(json.dumps(frame)).as_event("rb_1"))) < 1_000 + MAX_EVENT_ID_CHARS


def test_a_client_cannot_mark_a_response_as_ours() -> None:
    marked = {"type": "response.create", "event_id": "mine", "response": {"metadata": {"ringback": "rb_word_1_1"}}}
    refused = refusal(json.dumps(marked))
    assert (refused.code, refused.event_id) == ("invalid_value", "mine")
    assert "'ringback'" in refused.message
