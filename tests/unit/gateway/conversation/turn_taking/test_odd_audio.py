"""Speech of the model's counts as heard only when it can have been, however its events are written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.upstream.realtime_events import passing_audio
from tests.unit.gateway.conversation.script import SPEAK, Script, call, created, done, echo

Event = dict[str, Any]

SECONDS = 4
AUDIO = "A" * (48_000 * SECONDS * 4 // 3)
DELTA: Event = {"type": "response.output_audio.delta", "event_id": "event_7", "response_id": "R1", "item_id": "item_a"}
ORDERS: dict[str, Event] = {
    "its type first": {**DELTA, "delta": AUDIO},
    "its type last": {"content_index": 0, "delta": AUDIO, "event_id": "e", "item_id": "item_a", "type": DELTA["type"]},
    "its audio before its item": {"type": DELTA["type"], "delta": AUDIO, "item_id": "item_a"},
    "under its name of the beta": {**DELTA, "type": "response.audio.delta", "delta": AUDIO},
}


def relay(script: Script, event: Event) -> None:
    """On the way that the session takes it."""
    frame = json.dumps(event)
    audio = passing_audio(frame)
    if audio is None or not script.conversation.audio_passed(*audio, script.now):
        assert script.model(event) == [f"client: {event['type']}"]


def speaking() -> Script:
    script = Script().opened()
    item = {"id": "item_a", "type": "message", "role": "assistant", "content": []}
    script.model(created("R1"), {"type": "conversation.item.added", "item": item})
    return script


@pytest.mark.parametrize("event", ORDERS.values(), ids=ORDERS)
def test_what_was_cut_short_is_remembered_as_far_as_it_was_heard(event: Event) -> None:
    script = speaking()
    relay(script, event)
    words = {"type": "response.output_audio_transcript.delta", "item_id": "item_a", "delta": "one two three four"}
    script.model(words, done("R1"))
    script.model({"type": "conversation.item.truncated", "item_id": "item_a", "audio_end_ms": SECONDS * 500})
    assert script.kept == {"item_a": "one two"}


@pytest.mark.parametrize(
    ("audio", "is_told"), [(AUDIO, True), ("", False), (None, False)], ids=["some", "none", "null"]
)
@pytest.mark.parametrize("event", ORDERS.values(), ids=ORDERS)
def test_an_answer_that_is_cut_off_has_told_a_result_if_some_of_it_was_heard(
    event: Event, audio: str | None, is_told: bool
) -> None:
    script = Script().opened()
    script.model(created("R1"), call("b"), done("R1"))
    assert script.deliver("b") == ["model: output b", SPEAK]
    script.model(echo("b"), created("R2"))
    relay(script, {**event, "response_id": "R2", "delta": audio})
    script.model(done("R2", "cancelled"))
    assert (SPEAK not in script.wait(2 * SECONDS)) is is_told


@pytest.mark.parametrize("event", ORDERS.values(), ids=ORDERS)
def test_a_late_result_waits_until_what_was_said_has_been_heard(event: Event) -> None:
    script = speaking()
    script.model(call("b"), done("R1"), created("R2"))
    script.model({"type": "input_audio_buffer.speech_started"}, {"type": "input_audio_buffer.speech_stopped"})
    relay(script, event)
    script.model(done("R2"))
    assert script.deliver("b") == ["model: output b"]
    assert script.wait(SECONDS) == []
    assert script.wait(2.0) == [SPEAK]
