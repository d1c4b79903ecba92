"""What the Realtime API sends is an event that the whole gateway can read, or it is dropped with a reason."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream import events
from gateway.upstream.events import MAX_ID_CHARS, MalformedEvent
from gateway.upstream.realtime_events import (
    DETAILS,
    MAX_DEPTH,
    MAX_TEXT_CHARS,
    passing_audio,
    passing_detail,
    passing_text,
    read,
)

REQUIRED = {
    "error": "error",
    "response.created": "response",
    "response.done": "response",
    "response.output_item.added": "item",
    "response.output_item.done": "item",
    "conversation.item.added": "item",
    "conversation.item.created": "item",
    "conversation.item.done": "item",
}
"""Events that mean nothing without a part of theirs."""
UPDATED = {"type": "session.updated", "session": {"instructions": "Be kind.", "tools": [], "expires_at": 1_800_000_000}}
MALFORMED: dict[str, str] = {
    "nothing": "",
    "no object": "[]",
    "no type": "{}",
    "a type that is none": '{"type": 7}',
    "a long type": json.dumps({"type": "x" * (MAX_ID_CHARS + 1)}),
    "cut off": '{"type": "response.created"',
    "half of a surrogate pair": '{"type": "x", "y": "\\ud800"}',
    "a byte order mark": '\ufeff{"type": "x"}',
    "NaN": '{"type": "x", "y": NaN}',
    "a number beyond all numbers": '{"type": "x", "y": 1e999}',
    "a number of 5,000 digits": f'{{"type": "x", "y": {"9" * 5_000}}}',
    "too deep": '{"type": "x", "y": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}",
    "much too deep": '{"type": "x", "y": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "an item that is none": '{"type": "x", "item": []}',
    "an item id that is none": '{"type": "x", "item": {"id": {}}}',
    "a long item id": json.dumps({"type": "x", "item": {"id": "x" * (MAX_ID_CHARS + 1)}}),
    "a call id that is none": '{"type": "x", "item": {"call_id": {}}}',
    "a call id that is a number": '{"type": "x", "item": {"call_id": 7}}',
    "content that is none": '{"type": "x", "item": {"content": 7}}',
    "an output that is none": '{"type": "x", "response": {"output": {"a": 1}}}',
    "an output of no items": '{"type": "x", "response": {"output": [1]}}',
    "tools that are none": '{"type": "x", "session": {"tools": [1]}}',
    "a format of audio that is none": '{"type": "x", "session": {"audio": {"output": 7}}}',
    "a time that is none": '{"type": "x", "audio_end_ms": "1"}',
    "a time without end": f'{{"type": "x", "audio_end_ms": {"9" * 400}}}',
    "an end of time": f'{{"type": "x", "session": {{"expires_at": {"9" * 30}}}}}',
    "a code that is none": '{"type": "x", "error": {"code": []}}',
    **{f"{kind} of nothing": f'{{"type": "{kind}"}}' for kind in REQUIRED},
    **{f"{kind} of null": f'{{"type": "{kind}", "{part}": null}}' for kind, part in REQUIRED.items()},
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_event_is_dropped_with_a_short_reason(frame: str) -> None:
    with pytest.raises(MalformedEvent) as malformed:
        read(frame)
    assert 0 < len(str(malformed.value)) <= 200


@pytest.mark.parametrize(
    "event",
    [
        {"type": "x"},
        {"type": "brand.new", "anything": [{"a": None}, 1.5, "\U0001f600"]},
        {"type": "x", "y": json.loads("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))},
        UPDATED,
        {"type": "response.output_item.done", "item": {"type": "function_call", "name": "x" * 100_000}},
        {"type": "response.output_item.done", "item": {"id": "x" * MAX_ID_CHARS, "call_id": "x" * 100_000}},
        {"type": "response.done", "response": {"id": "resp_1", "output": [{"type": "message", "content": None}]}},
    ],
)
def test_an_event_is_read_as_it_is(event: dict[str, Any]) -> None:
    assert read(json.dumps(event)).raw == event


def test_of_a_name_that_stands_twice_the_last_one_counts() -> None:
    assert read('{"type": "x", "item": {"id": "a"}, "type": "y", "item": {"id": "b"}}').raw == {
        "type": "y",
        "item": {"id": "b"},
    }
    with pytest.raises(MalformedEvent):
        read('{"type": "x", "item": {"id": "a"}, "item": {"id": 7}}')


def test_a_nul_is_replaced_wherever_it_stands_as_no_row_can_hold_it() -> None:
    frame = r'{"type": "x", "item": {"name": "a\u0000", "b\u0000": ["\u0000", 1, "\\u0000"]}}'
    assert read(frame).raw == {"type": "x", "item": {"name": "a\ufffd", "b\ufffd": ["\ufffd", 1, "\\u0000"]}}


MEANINGS: dict[str, type[Any]] = {
    "session.created": events.SessionCreated,
    "session.updated": events.SessionUpdated,
    "input_audio_buffer.speech_started": events.UserStartedSpeaking,
    "input_audio_buffer.speech_stopped": events.UserStoppedSpeaking,
    "input_audio_buffer.committed": events.UserTurnCommitted,
    "input_audio_buffer.timeout_triggered": events.UserStayedSilent,
    "input_audio_buffer.cleared": events.UserAudioCleared,
    "conversation.item.added": events.ItemShown,
    "conversation.item.created": events.ItemShown,
    "conversation.item.done": events.ItemShown,
    "conversation.item.input_audio_transcription.completed": events.ItemTranscribed,
    "conversation.item.truncated": events.ItemTruncated,
    "conversation.item.deleted": events.ItemDeleted,
    "response.created": events.ResponseStarted,
    "response.output_item.added": events.OutputItemStarted,
    "response.output_item.done": events.OutputItemFinished,
    "response.output_text.delta": events.ModelText,
    "response.output_audio_transcript.delta": events.ModelText,
    "response.output_audio.delta": events.ModelAudio,
    "response.audio.delta": events.ModelAudio,
    "response.done": events.ResponseFinished,
    "rate_limits.updated": events.RateLimitsUpdated,
    "error": events.ErrorReported,
    "response.content_part.added": events.OtherEvent,
    "brand.new": events.OtherEvent,
}


@pytest.mark.parametrize("kind", MEANINGS)
def test_each_event_has_its_meaning_and_keeps_what_it_is_about(kind: str) -> None:
    part = {REQUIRED[kind]: {"id": "x"}} if kind in REQUIRED else {}
    raw = {"type": kind, "item_id": "item_1", "response_id": "resp_1", **part}
    event = read(json.dumps(raw))
    assert (type(event), event.raw, event.item_id, event.response_id) == (MEANINGS[kind], raw, "item_1", "resp_1")


@pytest.mark.parametrize(
    ("frame", "audio"),
    [
        ('{"type":"response.output_audio.delta","item_id":"a","delta":"AAAA"}', ("a", 4)),
        ('{"type": "response.output_audio.delta", "delta": "AAAA", "item_id": "a"}', ("a", 4)),
        ('{"type":"response.output_audio.delta","delta":"AAAA"}', None),
        ('{"type":"response.output_audio.done","item_id":"a","delta":"AAAA"}', None),
        ('{"delta":"' + "A" * 64 + '","type":"response.output_audio.delta","item_id":"a"}', None),
    ],
    ids=["compact", "with spaces", "without its item", "of another type", "its type last"],
)
def test_audio_is_found_without_decoding_the_frame(frame: str, audio: tuple[str, int] | None) -> None:
    assert passing_audio(frame) == audio


TRANSCRIPT = "response.output_audio_transcript.delta"
PIECE = {"type": TRANSCRIPT, "event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0, "delta": "\nHi"}


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps(PIECE),
        json.dumps(PIECE, separators=(",", ":")),
        json.dumps({**PIECE, "type": "response.output_text.delta"}),
        json.dumps({**PIECE, "content_index": 0, "obfuscation": "xyz"}),
    ],
)
def test_a_piece_of_text_passes_with_what_the_long_way_reads_of_it(frame: str) -> None:
    text, event = passing_text(frame), read(frame)
    assert text is not None
    assert isinstance(event, events.ModelText)
    assert (text.item_id, text.response_id, text.delta) == (event.item_id, event.response_id, event.delta)


USERS = {"type": "conversation.item.input_audio_transcription.delta", "item_id": "u", "content_index": 0, "delta": "Hi"}


def test_a_piece_of_what_the_user_said_passes_and_names_no_response() -> None:
    text = passing_text(json.dumps(USERS))
    assert text is not None
    assert (text.item_id, text.response_id, text.delta) == ("u", None, "Hi")
    assert type(read(json.dumps(USERS))) is events.OtherEvent
    assert passing_text(json.dumps({**USERS, "response_id": "r"})) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "response.output_text.done"},
        {"type": "response.function_call_arguments.delta"},
        {"type": "x", "event_id": f'"{TRANSCRIPT}"'},
        {"delta": 7},
        {"delta": "\0"},
        {"delta": "x" * MAX_TEXT_CHARS},
        {"item_id": None},
        {"item_id": "x" * (MAX_ID_CHARS + 1)},
        {"response_id": None},
        {"previous_item_id": "i"},
        {"session": {"instructions": "Be kind."}},
        {"logprobs": []},
    ],
)
def test_text_with_more_to_it_takes_the_long_way(fields: dict[str, Any]) -> None:
    assert passing_text(json.dumps({**PIECE, **fields})) is None


def test_so_does_text_whose_type_stands_last() -> None:
    assert passing_text(json.dumps(dict(reversed({**PIECE, "delta": "x" * 64}.items())))) is None


DETAIL = {"type": "response.content_part.done", "event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0}
PART = {"type": "audio", "transcript": "Hi"}


@pytest.mark.parametrize("kind", sorted(DETAILS))
def test_a_detail_passes_with_what_the_long_way_reads_of_it_and_decides_nothing_there(kind: str) -> None:
    frame = json.dumps({**DETAIL, "type": kind, "part": PART, "arguments": "{}", "name": "weather", "call_id": "c"})
    detail, event = passing_detail(frame), read(frame)
    assert detail is not None
    assert type(event) is events.OtherEvent
    assert (detail.type, detail.item_id, detail.response_id) == (kind, event.item_id, event.response_id)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "response.output_text.delta"},
        {"type": "x", "event_id": "response.content_part.done"},
        {"transcript": 7},
        {"transcript": "\0"},
        {"transcript": "x" * MAX_TEXT_CHARS},
        {"part": {"nested": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}},
        {"item_id": None},
        {"item_id": "x" * (MAX_ID_CHARS + 1)},
        {"response_id": None},
        *({name: None} for name in ("item", "response", "session", "error", "previous_item_id")),
    ],
    ids=str,
)
def test_a_detail_with_more_to_it_takes_the_long_way(fields: dict[str, Any]) -> None:
    assert passing_detail(json.dumps(DETAIL)) is not None
    assert passing_detail(json.dumps({**DETAIL, **fields})) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "item", "response", "session", "error", "id", "output", "audio", "tools", "content"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(VALUES)
def test_whatever_comes_is_an_event_that_can_be_written_again_or_malformed(value: Any) -> None:
    try:
        event = read(json.dumps(value)).raw
    except MalformedEvent:
        return
    written = msgspec.json.encode(event).decode()
    assert read(written).raw == event


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(st.text(max_size=60))
def test_reading_raises_nothing_else(frame: str) -> None:
    with suppress(MalformedEvent):
        assert isinstance(read(frame).raw, dict)
