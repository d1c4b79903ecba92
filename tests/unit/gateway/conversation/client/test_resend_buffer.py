"""What a client has said and the model may not have: kept until it is confirmed, and said again."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from random import randbytes
from typing import Any

import pytest

from gateway.conversation.client.resend_buffer import (
    LEAST_BYTES,
    MAX_SILENCE_BYTES,
    MAX_SPEECH_BYTES,
    MAX_TYPED,
    ResendBuffer,
)
from gateway.protocol import AppendAudio, read_audio
from tests.unit.gateway.conversation.script import meant

Event = dict[str, Any]
COMMIT: Event = {"type": "input_audio_buffer.commit"}
CLEAR: Event = {"type": "input_audio_buffer.clear"}
STARTED: Event = {"type": "input_audio_buffer.speech_started"}
STOPPED: Event = {"type": "input_audio_buffer.speech_stopped"}
COMMITTED: Event = {"type": "input_audio_buffer.committed"}
A_SECOND = 64_000
MAX_SILENCE_CHARS, MAX_SPEECH_CHARS, LEAST_CHARS = (
    size // 3 * 4 for size in (MAX_SILENCE_BYTES, MAX_SPEECH_BYTES, LEAST_BYTES)
)
"""The same in base64."""


def audio(name: str, chars: int = 1_000) -> Event:
    return {"type": "input_audio_buffer.append", "event_id": name, "audio": "A" * chars}


def typed(item_id: str) -> Event:
    return {"type": "conversation.item.create", "event_id": item_id, "item": {"id": item_id, "type": "message"}}


def update(name: str) -> Event:
    return {"type": "session.update", "event_id": name, "session": {}}


def passed(name: str, chars: int = 1_000) -> AppendAudio:
    """The same audio as it is kept on the short way."""
    return AppendAudio(event_id=name, audio=bytes(chars // 4 * 3))


def said(buffer: ResendBuffer, *events: Event | AppendAudio) -> list[str]:
    for event in events:
        buffer.said(event) if isinstance(event, dict) else buffer.appended(event)
    return [event.get("event_id", event["type"].rpartition(".")[2]) for event in buffer.again()]


def test_a_typed_message_is_kept_until_its_item_is_echoed() -> None:
    buffer = ResendBuffer()
    assert said(buffer, typed("one"), typed("two")) == ["one", "two"]
    buffer.heard(meant({"type": "conversation.item.added", "item": {"id": "one"}}))
    assert said(buffer) == ["two"]


def test_audio_is_kept_until_the_turn_is_committed_and_what_follows_stays() -> None:
    buffer = ResendBuffer()
    said(buffer, audio("before"))
    buffer.heard(meant(STARTED))
    said(buffer, audio("word"), audio("pause"))
    buffer.heard(meant(STOPPED))
    said(buffer, audio("next"), typed("aside"))
    buffer.heard(meant(COMMITTED))
    assert said(buffer) == ["next", "aside"]


def test_audio_that_passed_is_said_again_as_the_client_said_it() -> None:
    buffer = ResendBuffer()
    buffer.appended(passed("mine", 8))
    assert buffer.again() == [audio("mine", 8)]


def test_audio_that_passed_has_the_same_bound() -> None:
    for make in (audio, passed):
        buffer = ResendBuffer()
        assert len(said(buffer, *(make(f"{count}") for count in range(100)))) == MAX_SILENCE_CHARS // 1_000
        assert len(said(buffer, *(make(f"{count}", 4) for count in range(200)))) == MAX_SILENCE_CHARS // LEAST_CHARS
        assert said(ResendBuffer(), make("silent", 0)) == []


def test_without_turn_detection_all_is_kept_until_the_clients_own_commit_is_confirmed() -> None:
    buffer = ResendBuffer(detects_turns=False)
    long = [audio(f"{second}", A_SECOND) for second in range(5)]
    assert said(buffer, *long, COMMIT, audio("next")) == ["0", "1", "2", "3", "4", "commit", "next"]
    buffer.heard(meant(COMMITTED))
    assert said(buffer) == ["next"]


def test_silence_is_kept_for_a_moment_and_speech_for_as_long_as_somebody_speaks() -> None:
    buffer = ResendBuffer()
    assert said(buffer, *(audio(f"{n}", MAX_SILENCE_CHARS // 2) for n in range(9))) == ["7", "8"]
    buffer.heard(meant(STARTED))
    for _ in range(100):
        buffer.said(audio("speech", A_SECOND))
    kept = sum(len(event["audio"]) for event in buffer.again())
    assert MAX_SPEECH_CHARS - A_SECOND < kept <= MAX_SPEECH_CHARS


def test_what_the_client_throws_away_is_not_said_again() -> None:
    buffer = ResendBuffer()
    assert said(buffer, audio("one"), typed("two"), CLEAR) == ["two"]


def test_settings_are_kept_until_the_server_shows_them_one_by_one() -> None:
    buffer = ResendBuffer()
    first, second = update("first"), update("second")
    assert said(buffer, first, typed("aside"), second) == ["first", "aside", "second"]
    buffer.heard(meant({"type": "session.updated", "session": {}}))
    assert said(buffer) == ["aside", "second"]
    buffer.heard(meant({"type": "response.created", "response": {}}))
    assert said(buffer) == ["aside", "second"], "what confirms no event drops none"


def test_messages_that_no_server_echoes_have_a_bound() -> None:
    assert said(ResendBuffer(), *(typed(f"{n}") for n in range(MAX_TYPED + 5)))[0] == "5"


def test_what_the_server_refuses_is_not_said_again() -> None:
    buffer = ResendBuffer(detects_turns=False)
    empty = {**COMMIT, "event_id": "empty"}
    said(buffer, empty)
    buffer.refused("empty")
    assert said(buffer, audio("turn"), {**COMMIT, "event_id": "full"}) == ["turn", "full"]
    buffer.heard(meant(COMMITTED))
    assert said(buffer) == [], "it would be one turn behind for ever"


def test_many_tiny_frames_have_a_bound_and_empty_ones_are_not_kept() -> None:
    buffer = ResendBuffer()
    for _ in range(1_000):
        buffer.said(audio("tiny", 4))
        buffer.said(audio("empty", 0))
    assert len(buffer.again()) == MAX_SILENCE_CHARS // LEAST_CHARS


def appended(event: Event) -> AppendAudio:
    append = read_audio(json.dumps(event))
    assert append is not None
    return append


@pytest.mark.parametrize("size", [1, 2, 3, 960, 961, 48_000])
def test_audio_is_sent_again_byte_for_byte(size: int) -> None:
    buffer = ResendBuffer(detects_turns=False)
    event = {**audio("word", 0), "audio": b64encode(randbytes(size)).decode()}
    buffer.appended(appended(event))
    assert buffer.again() == [event]
    buffer.heard(meant(COMMITTED))
    assert buffer == ResendBuffer(detects_turns=False), "its weight is taken off as it was put on"


def test_half_a_second_of_silence_costs_little_more_than_its_samples() -> None:
    buffer = ResendBuffer()
    tracemalloc.start()
    try:
        for number in range(200):
            silence = b64encode(bytes(960)).decode()  # 20 ms
            buffer.appended(appended({**audio(f"ringback-{number}", 0), "audio": silence}))
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = snapshot.filter_traces([tracemalloc.Filter(True, "*/gateway/*")])  # other threads have memory of their own
    kept = sum(each.size for each in ours.statistics("filename"))
    assert len(buffer.again()) == 25
    assert 24_000 <= kept < 1.3 * 24_000
