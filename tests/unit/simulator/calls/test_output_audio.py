"""The server's output audio buffer: what it plays when, and what it tells."""

from __future__ import annotations

from simulator.calls.output_audio import OutputAudio, Unheard
from simulator.speech.vad import BYTES_PER_MS

FRAME = 20


def pcm(milliseconds: int, value: int = 1) -> bytes:
    return bytes([value]) * (milliseconds * BYTES_PER_MS)


def told(output: OutputAudio, frames: int = 1) -> list[str]:
    """What is told while so many frames are played."""
    events = [event for _ in range(frames) for event in output.take(FRAME)[1]]
    return [f"{event['type'].rpartition('.')[2]} {event['response_id']}" for event in events]


def test_silence_tells_nothing() -> None:
    output = OutputAudio()
    assert output.is_silent
    assert output.take(FRAME) == (bytes(FRAME * BYTES_PER_MS), [])


def test_a_response_starts_with_its_first_sound_and_stops_when_it_is_done_and_played() -> None:
    output = OutputAudio()
    output.add("r1", "i1", 0, pcm(30))
    assert told(output) == ["started r1"]
    assert told(output, 3) == []  # more may come
    output.close("r1")
    assert told(output) == ["stopped r1"]
    assert output.is_silent


def test_the_last_piece_is_filled_up_with_silence() -> None:
    output = OutputAudio()
    output.add("r1", "i1", 0, pcm(30))
    output.close("r1")
    assert output.take(FRAME)[0] == pcm(20)
    assert output.take(FRAME)[0] == pcm(10) + bytes(10 * BYTES_PER_MS)


def test_a_response_behind_another_waits_for_its_turn() -> None:
    output = OutputAudio()
    output.add("r1", "i1", 0, pcm(20))
    output.close("r1")
    output.add("r2", "i2", 0, pcm(20))
    output.close("r2")
    assert told(output, 3) == ["started r1", "stopped r1", "started r2", "stopped r2"]


def test_what_is_cleared_names_how_much_of_each_item_was_heard() -> None:
    output = OutputAudio()
    output.add("r1", "i1", 0, pcm(20))
    output.add("r1", "i2", 0, pcm(100))
    output.add("r1", "i3", 1, pcm(100))
    assert told(output, 2) == ["started r1"]
    events, unheard = output.clear()
    assert [event["type"] for event in events] == ["output_audio_buffer.cleared"]
    assert unheard == [Unheard("i2", 0, 20), Unheard("i3", 1, 0)]
    assert output.is_silent


def test_a_cleared_buffer_that_had_played_nothing_tells_nothing() -> None:
    output = OutputAudio()
    assert output.clear() == ([], [])
