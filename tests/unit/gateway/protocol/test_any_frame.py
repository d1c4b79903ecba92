"""Whatever a frame holds: it is refused in a sentence, or what goes on has the allowed shape. Nothing is raised."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol import Rejection, read
from tests.unit.gateway.protocol.client_frames import AS_IT_CAME, passed
from tests.unit.gateway.protocol.test_rejections import FORBIDDEN

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        "type",
        "event_id",
        "item",
        "item_id",
        "audio",
        "session",
        "response",
        "role",
        "content",
        "text",
        "instructions",
        "tools",
        "call_id",
        "output",
        "conversation",
        "metadata",
        "input",
        "turn_detection",
        "id",
        "previous_item_id",
    ]
)
TYPES = st.sampled_from(
    [
        "input_audio_buffer.append",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.delete",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
        "session.update",
        "message",
        "input_text",
        "function_call_output",
        "server_vad",
    ]
)
VALUES = st.recursive(
    SCALARS | TYPES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)
EVENTS = st.builds(lambda kind, rest: {**rest, "type": kind}, TYPES, st.dictionaries(WORDS, VALUES, max_size=5))


def check(frame: str | bytes) -> None:
    """Either it is refused in a sentence, or what goes on would pass again, unchanged, and is all named here."""
    read_frame = read(frame)
    if isinstance(read_frame, Rejection):
        assert read_frame.message.endswith(".")
        assert msgspec.json.encode(read_frame.as_event("rb_1"))
        return
    written = msgspec.json.encode(read_frame.event)
    assert read(written) == replace(read_frame, left_out=())
    for forbidden in (b'"instructions"', b'"tools"', b'"call_id"', b'"previous_item_id"', b'"function_call_output"'):
        assert forbidden + b":" not in written


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(EVENTS)
def test_whatever_an_event_holds_only_the_allowed_shape_passes(event: dict[str, Any]) -> None:
    check(json.dumps(event))


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_whatever_a_frame_is_reading_it_raises_nothing(frame: str | bytes) -> None:
    check(frame)


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(st.data(), st.sampled_from([*AS_IT_CAME.values(), *(event for event, _ in FORBIDDEN.values())]))
def test_a_frame_with_a_few_bytes_changed_is_read_or_refused(data: st.DataObject, event: dict[str, Any]) -> None:
    frame = bytearray(json.dumps(event).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(frame))


@given(st.binary(max_size=200))
def test_audio_arrives_as_the_bytes_that_were_sent(audio: bytes) -> None:
    sent = base64.b64encode(audio).decode()
    assert passed(type="input_audio_buffer.append", audio=sent)["audio"] == sent
