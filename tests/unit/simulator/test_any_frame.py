"""The conversation answers every frame of a client, and never raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulator.rehearsal import Rehearsal

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.just("realtime"))
NAMES = st.sampled_from(
    [
        *("type", "role", "content", "item", "session", "audio", "input", "output", "tools", "turn_detection"),
        *("response", "call_id", "id", "name", "arguments", "text", "threshold", "format", "item_id", "metadata"),
        *("previous_item_id", "audio_end_ms", "conversation", "transcription", "tool_choice", "event_id"),
    ]
)
KINDS = st.sampled_from(
    [*("message", "function_call", "function_call_output", "input_text", "item_reference", "user", "server_vad")]
)
TREES = st.recursive(
    SCALARS | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
EVENTS = (
    *("session.update", "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear"),
    *("conversation.item.create", "conversation.item.retrieve", "conversation.item.truncate"),
    *("conversation.item.delete", "response.create", "response.cancel"),
)


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=settings().max_examples // 2, deadline=None)
@given(fields=st.dictionaries(NAMES, TREES, max_size=5))
def test_any_fields_of_an_event_are_answered_with_events_that_are_json(kind: str, fields: dict[str, Any]) -> None:
    rehearsal = Rehearsal()
    fields.pop("type", None)
    rehearsal.send(kind, **fields)
    rehearsal.play_out()
    rehearsal.type_in("Hello")
    rehearsal.play_out()
    assert json.loads(json.dumps(rehearsal.sent)) == rehearsal.sent
    assert rehearsal.last("conversation.item.done")["item"]["role"] == "user"
