"""Spoken turns: what turn detection, barge-in and manual commits lead to, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator.rehearsal import Rehearsal, error_of, said, silence, sound, types

SPOKEN_TURN = "turns: [{hears: ., spoken: 1, says: Good day.}]"


def test_a_spoken_turn_is_committed_and_answered() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN, words=["good morning"])
    listening = {"transcription": {"model": "whisper-1"}}
    rehearsal.send("session.update", session={"type": "realtime", "audio": {"input": listening}})
    heard = rehearsal.hear(silence(400) + sound(600) + silence(400))
    assert types(heard) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    started, stopped = heard[0], heard[1]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (100, 1200)
    assert {event["item_id"] for event in heard[:3]} == {heard[3]["item"]["id"]}
    rehearsal.play_out()
    transcript = rehearsal.last("conversation.item.input_audio_transcription.completed")
    assert (transcript["transcript"], transcript["item_id"]) == ("good morning", started["item_id"])
    assert said(rehearsal.last("response.done")["response"]) == "Good day."


def test_a_barge_in_cancels_the_active_response() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    rehearsal.type_in("Hello")
    rehearsal.send("response.create")
    rehearsal.play_until("response.output_audio.delta")
    heard = rehearsal.hear(sound(200))
    assert heard[0]["type"] == "input_audio_buffer.speech_started"
    response = heard[-1]["response"]
    assert (response["status"], response["status_details"]) == (
        "cancelled",
        {"type": "cancelled", "reason": "turn_detected"},
    )


def test_a_barge_in_leaves_a_response_out_of_band_alone() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    rehearsal.send("response.create", response={"conversation": "none"})
    rehearsal.hear(sound(200))
    rehearsal.play_out()
    assert rehearsal.last("response.done")["response"]["status"] == "completed"


@pytest.mark.parametrize(
    ("turn_detection", "expected"),
    [
        ({"create_response": False}, []),
        ({"interrupt_response": False}, ["response.created"]),
        (None, []),
    ],
)
def test_turn_detection_answers_only_when_asked_to(turn_detection: dict[str, Any] | None, expected: list[str]) -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    session = {"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}}
    rehearsal.send("session.update", session=session)
    heard = types(rehearsal.hear(sound(500) + silence(500)))
    assert [kind for kind in heard if kind.startswith("response.created")] == expected
    assert ("input_audio_buffer.committed" in heard) == (turn_detection is not None)


def test_a_spoken_turn_collides_with_a_response_that_may_not_be_interrupted() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    session = {"type": "realtime", "audio": {"input": {"turn_detection": {"interrupt_response": False}}}}
    rehearsal.send("session.update", session=session)
    rehearsal.send("response.create")
    error = rehearsal.hear(sound(500) + silence(500))[-1]["error"]
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", None)


def test_the_client_may_commit_what_it_sent() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN, words=["hello"])
    rehearsal.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    assert rehearsal.hear(sound(300)) == []
    committed = types(rehearsal.send("input_audio_buffer.commit"))
    assert committed == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert said(rehearsal.respond()) == "Good day."
    assert error_of(rehearsal.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_cleared_audio_is_gone() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    rehearsal.hear(sound(200))
    assert types(rehearsal.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert "0.00ms" in error_of(rehearsal.send("input_audio_buffer.commit"))["message"]


def test_a_spoken_item_is_retrieved_with_its_audio() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    item_id = rehearsal.hear(sound(500) + silence(500))[0]["item_id"]
    [retrieved] = rehearsal.send("conversation.item.retrieve", item_id=item_id)
    assert retrieved["item"]["content"][0]["audio"]
    assert "audio" not in rehearsal.conversation.items.items[0]["content"][0]
