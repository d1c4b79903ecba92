"""What is drawn of a recording: as many numbers as are asked for, each the loudest of its time."""

from __future__ import annotations

from ringback.recordings.audio import Codec, Piece, Voice
from ringback.recordings.waveform import Loss, waveform


def piece(voice: Voice, from_ms: int, loudness: list[int]) -> Piece:
    return Piece(voice, 1, from_ms, 20 * len(loudness), Codec.PCM, 24_000, b"", bytes(loudness))


def test_each_number_is_the_loudest_of_its_time() -> None:
    pieces = [piece(Voice.CALLER, 0, [1, 9, 2, 3]), piece(Voice.MODEL, 100, [5, 6])]
    drawn = waveform("s", pieces, 160, 4)
    assert (drawn.caller, drawn.model, drawn.point_ms) == ([9, 3, 0, 0], [0, 0, 5, 6], 40.0)


def test_a_short_talk_has_a_number_for_each_frame_and_what_is_beyond_its_length_is_left_out() -> None:
    drawn = waveform("s", [piece(Voice.MODEL, 20, [7, 8, 9]), piece(Voice.MODEL, 100, [1])], 60, 1_000)
    assert (drawn.caller, drawn.model, drawn.length_ms) == ([0, 0, 0], [0, 7, 8], 60)


def test_what_was_lost_is_told() -> None:
    lost = Piece(Voice.CALLER, 1, 500, 1_200, Codec.LOST, 0, b"", b"")
    drawn = waveform("s", [lost], 2_000, 10)
    assert drawn.lost == [Loss(voice=Voice.CALLER, from_ms=500, ms=1_200)]
    assert not any(drawn.caller)
