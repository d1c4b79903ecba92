"""What passes leaves a conversation as the long way would, and never wakes it earlier than it asked for."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from gateway.conversation.client.view import ClientView
from gateway.protocol import read_audio
from gateway.upstream.events import WITHIN_A_TURN, PassingDetail, PassingText
from gateway.upstream.realtime_events import DETAILS, passing_detail, passing_text
from tests.unit.gateway.conversation.script import SERVER_VAD, Script, call, created, done, echo, meant

Event = dict[str, Any]
PIECE: Event = {
    "type": "response.output_audio_transcript.delta",
    "event_id": "e",
    "response_id": "resp_1",
    "item_id": "item_1",
    "delta": " Hello",
}
RESPONSE = {"id": "resp_1", "status": "in_progress", "conversation_id": "conv_1"}
MESSAGE = {"id": "item_1", "type": "message", "role": "assistant", "content": []}
APPEND: Event = {"type": "input_audio_buffer.append", "event_id": "mine", "audio": "AAEC"}
SPEAKS: Event = {"type": "input_audio_buffer.speech_started"}
STOPS: Event = {"type": "input_audio_buffer.speech_stopped"}


def piece(**fields: Any) -> PassingText:
    text = passing_text(json.dumps({**PIECE, **fields}))
    assert text is not None
    return text


def speaking(**brain: Any) -> Script:
    """The model says something."""
    script = Script(**brain).opened(turn_detection=SERVER_VAD)
    script.model({"type": "response.created", "response": RESPONSE})
    script.model({"type": "conversation.item.added", "item": MESSAGE, "previous_item_id": None})
    return script


def state(script: Script) -> list[Any]:
    """What may have changed: the words, the slot, the user, and what would be said again."""
    parts = script.conversation, script.conversation._scheduler
    brain, scheduler = parts
    return [
        *(brain._log.unfinished(), scheduler.slot, scheduler.silent_since, scheduler.user, scheduler.plays_until),
        *(brain._client.resend_buffer.again(), brain.wake_at(script.now), brain.limits),
    ]


def test_a_piece_of_text_is_noted_as_the_long_way_notes_it() -> None:
    passes, is_read = speaking(), speaking()
    for script in (passes, is_read):
        script.now += 30.0
    assert passes.conversation.text_passed(piece(), passes.now)
    assert is_read.model(PIECE) == ["client: response.output_audio_transcript.delta"]
    assert state(passes) == state(is_read)
    assert [message.content for message in passes.conversation._log.unfinished()] == [
        [{"type": "output_text", "text": " Hello"}]
    ]


def test_a_piece_of_what_the_user_said_is_noted_as_the_long_way_notes_it() -> None:
    users = {"type": "conversation.item.input_audio_transcription.delta", "item_id": "item_1", "delta": " Hi"}
    passes, is_read = speaking(), speaking()
    text = passing_text(json.dumps(users))
    assert text is not None
    for script in (passes, is_read):
        script.now += 30.0
    assert passes.conversation.text_passed(text, passes.now)
    assert is_read.model(users) == [f"client: {users['type']}"]
    assert state(passes) == state(is_read)


@pytest.mark.parametrize(
    "fields",
    [{"response_id": "resp_2"}, {"item_id": "rb_say_1"}, {"item_id": "item_call"}, {"item_id": "item_seed"}],
    ids=["of another response", "of a filler", "of a hidden item", "of the past"],
)
def test_text_about_which_more_is_to_be_decided_does_not_pass(fields: Event) -> None:
    script = speaking()
    script.model(CALL_ADDED)
    script.conversation._handshake.seeds.ids.add("item_seed")
    before = state(script)
    assert not script.conversation.text_passed(piece(**fields), script.now)
    assert state(script) == before


def test_no_text_passes_before_a_response_is_known() -> None:
    script = Script().opened()
    assert not script.conversation.text_passed(piece(), script.now)


def detail(**fields: Any) -> PassingDetail:
    found = passing_detail(json.dumps({**DETAIL, **fields}))
    assert found is not None
    return found


DETAIL: Event = {"type": "response.content_part.done", "response_id": "resp_1", "item_id": "item_1"}
CALL: Event = {"id": "item_call", "type": "function_call", "name": "weather", "call_id": "call_1", "arguments": ""}
CALL_ADDED: Event = {"type": "response.output_item.added", "response_id": "resp_1", "item": CALL}


@pytest.mark.parametrize("item_id", ["item_1", "item_call", "rb_say_1"], ids=["said", "of a call", "of a filler"])
@pytest.mark.parametrize("kind", sorted(DETAILS))
@pytest.mark.parametrize("wants", [(), ("calls",)], ids=["without calls", "with calls"])
def test_a_detail_is_noted_and_shown_as_the_long_way_does(kind: str, item_id: str, wants: tuple[str, ...]) -> None:
    passes, is_read = speaking(wants=wants), speaking(wants=wants)
    for script in (passes, is_read):
        script.model(CALL_ADDED)
        script.now += 30.0
    fields = {"type": kind, "item_id": item_id}
    is_shown = passes.conversation.detail_passed(detail(**fields), passes.now)
    assert is_read.model({**DETAIL, **fields}) == ([f"client: {kind}"] if is_shown else [])
    assert state(passes) == state(is_read)


@pytest.mark.parametrize(
    "fields", [{"response_id": "resp_2"}, {"item_id": "item_seed"}], ids=["of another response", "of the past"]
)
def test_a_detail_about_which_more_is_to_be_decided_does_not_pass(fields: Event) -> None:
    script = speaking()
    script.conversation._handshake.seeds.ids.add("item_seed")
    before = state(script)
    assert script.conversation.detail_passed(detail(**fields), script.now) is None
    assert state(script) == before


def test_what_is_shown_as_it_came_is_what_the_view_would_not_change() -> None:
    view = ClientView("sess")
    assert view.shows_as_it_came("item_1")
    assert view.show(PIECE) is PIECE


@pytest.mark.parametrize("before", [[], [SPEAKS], [SPEAKS, STOPS]], ids=["silent", "speaking", "turn taken"])
@pytest.mark.parametrize("detects", [SERVER_VAD, None], ids=["detected", "held"])
def test_audio_of_the_client_is_noted_as_the_long_way_notes_it(before: list[Event], detects: Event | None) -> None:
    passes, is_read = Script().opened(turn_detection=detects), Script().opened(turn_detection=detects)
    for script in (passes, is_read):
        script.model(*before)
        script.now += 1.0
    append = read_audio(json.dumps(APPEND))
    assert append is not None
    assert passes.conversation.audio_appended(append, passes.now) is append
    assert is_read.client(**APPEND) == ["model: input_audio_buffer.append"]
    assert state(passes) == state(is_read)


def test_audio_without_a_name_gets_one_of_the_gateways() -> None:
    script = Script().opened()
    append = read_audio(json.dumps({**APPEND, "event_id": None}))
    assert append is not None
    assert str(script.conversation.audio_appended(append, script.now).event_id).startswith("rb_client_")


SHOWN: Event = {"type": "conversation.item.done", "item": {**MESSAGE, "status": "completed"}}
TRANSCRIBED: Event = {
    "type": "conversation.item.input_audio_transcription.completed",
    "item_id": "item_1",
    "transcript": "Hi",
}


def late() -> Script:
    """A result waits until both sides are quiet."""
    script = Script().opened(turn_detection=SERVER_VAD)
    script.model(created("R1"), call("a"), done("R1"))
    script.recorded(*script.records)
    script.model(SPEAKS, STOPS)
    script.deliver("a")
    return script


def pending() -> Script:
    """The client has asked for a response, and the conversation wants to be woken if none begins."""
    script = Script().opened(turn_detection=SERVER_VAD)
    script.client(type="response.create")
    return script


@pytest.mark.parametrize("event", [SHOWN, TRANSCRIBED, CALL_ADDED, echo("a"), DETAIL], ids=lambda event: event["type"])
@pytest.mark.parametrize("make", [speaking, pending, late], ids=lambda make: make.__name__)
@pytest.mark.parametrize("user", [[], [SPEAKS], [SPEAKS, STOPS]], ids=["silent", "speaking", "turn taken"])
def test_what_is_within_a_turn_makes_nothing_due(make: Any, user: list[Event], event: Event) -> None:
    script = make()
    script.model(*user)
    script.now += 0.1
    asked = script.conversation.wake_at(script.now)
    assert type(meant(event)) in WITHIN_A_TURN
    script.model(event)
    assert script.conversation.wake_at(script.now) >= asked


@pytest.mark.parametrize("make", [speaking, pending], ids=lambda make: make.__name__)
@pytest.mark.parametrize("user", [[], [SPEAKS], [SPEAKS, STOPS]], ids=["silent", "speaking", "turn taken"])
def test_what_passes_moves_the_next_waking_to_later_at_most(make: Any, user: list[Event]) -> None:
    script = make()
    script.model(*user)
    script.now += 0.5
    asked = script.conversation.wake_at(script.now)
    append = read_audio(json.dumps(APPEND))
    assert append is not None
    script.conversation.audio_appended(append, script.now)
    script.conversation.audio_passed("item_1", 4_000, script.now)
    script.conversation.text_passed(piece(), script.now)
    script.conversation.detail_passed(detail(), script.now)
    later = script.conversation.wake_at(script.now)
    assert asked < inf
    assert later >= asked
