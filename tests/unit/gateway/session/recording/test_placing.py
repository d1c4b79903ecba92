"""Where each piece of both voices lies, by tables of what came when.

A letter is one voice's audio of 100 ms; `.` is a tenth of a second without audio.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from gateway.session.recording.placing import HOLD_MS, MAX_HELD_BYTES, Recording
from gateway.upstream.events import ModelAudio, UserStartedSpeaking
from ringback.recordings.audio import FRAME_MS, RECORDED_MS_AT_MOST, Codec, Voice

TENTH = 4_800
"""Bytes of 100 ms: PCM16 at 24 kHz."""
BEGAN = 50.0
"""The session's clock when it began."""
Step = tuple[float, Callable[[Recording, float], None]]


def sound(letters: str) -> bytes:
    """Audio whose bytes are its letters: loud, and found again."""
    return b"".join(letter.encode() * TENTH for letter in letters)


def says(letters: str) -> Callable[[Recording, float], None]:
    return lambda recording, now: recording.caller_said(sound(letters), now)


def model(letters: str, item: str = "i") -> Callable[[Recording, float], None]:
    delta = base64.b64encode(sound(letters)).decode()
    return lambda recording, now: recording.model_said(item, delta, now)


def cut(recording: Recording, now: float) -> None:
    recording.model_event(UserStartedSpeaking(raw={}), now)


def truncate(ms: float, item: str = "i") -> Callable[[Recording, float], None]:
    event = {"type": "conversation.item.truncate", "item_id": item, "audio_end_ms": ms}
    return lambda recording, now: recording.client_event(event, now)


def cancel(recording: Recording, now: float) -> None:
    recording.client_event({"type": "response.cancel"}, now)


def look(recording: Recording, now: float) -> None:
    """Write what is ready by now."""
    drawn.setdefault(id(recording), []).extend(recording.batch(1, now))
    recording.written(len(recording.batch(1, now)))


drawn: dict[int, list[Any]] = {}


def played(voice: Voice, *steps: Step, until: float = 60.0) -> str:
    """What is recorded of a voice, a letter or a dot for each 100 ms from the beginning of the session on."""
    recording = Recording(BEGAN)
    for at, does in steps:
        does(recording, BEGAN + at)
    look(recording, BEGAN + until)
    pieces = [*drawn.pop(id(recording)), *recording.batch(1, BEGAN + until, leaving=True)]
    line: dict[int, str] = {}
    for piece in pieces:
        if piece.voice is voice:
            assert piece.from_ms % 10 == 0
            for offset in range(0, len(piece.audio), TENTH // 10):
                line[piece.from_ms // 10 + offset // (TENTH // 10)] = chr(piece.audio[offset])
    tenths = [line.get(at * 10 + 5, ".") for at in range(max(line, default=-10) // 10 + 1)]
    return "".join(tenths)


CALLER: dict[str, tuple[list[Step], str]] = {
    "a piece ends when it comes": ([(0.3, says("a"))], "..a"),
    "pieces that follow one another have no gap": ([(0.3, says("a")), (0.4, says("b")), (0.5, says("c"))], "..abc"),
    "a late piece still follows": ([(0.3, says("a")), (0.6, says("b")), (0.7, says("c"))], "..abc"),
    "a pause is a pause": ([(0.3, says("a")), (1.0, says("b"))], "..a......b"),
    "a burst after a stall was spoken during it": (
        [(0.3, says("a")), *[(1.3, says(letter)) for letter in "bcd"], (1.4, says("e"))],
        "..a.......bcde",
    ),
    "a burst moves back no further than to what was there": (
        [(0.3, says("a")), *[(0.7, says(letter)) for letter in "bcdefg"], (1.2, says("h"))],
        "..abcdefgh",
    ),
    "a turn that comes at once was spoken before": ([(2.0, says("abcde"))], "...............abcde"),
    "what comes faster than it is spoken is not cut": ([(0.2, says("abcd")), (0.3, says("ef"))], "abcdef"),
    "what is in its row is not moved": (
        [(1.0, says("a")), (1.0, look), (1.1, says("b")), (1.1, says("c")), (1.1, says("d"))],
        ".........abcd",
    ),
}


@pytest.mark.parametrize(("steps", "line"), CALLER.values(), ids=CALLER)
def test_the_callers_audio_was_spoken_before_it_came(steps: list[Step], line: str) -> None:
    assert played(Voice.CALLER, *steps) == line


MODEL: dict[str, tuple[list[Step], str]] = {
    "it plays from when it comes": ([(0.3, model("a"))], "...a"),
    "faster than it plays, it follows": ([(0.3, model("abc")), (0.31, model("def"))], "...abcdef"),
    "a starved client pauses": ([(0.3, model("a")), (1.0, model("b"))], "...a......b"),
    "two responses follow one another": ([(0.3, model("aa", "i")), (0.4, model("bb", "j"))], "...aabb"),
    "a barge-in cuts what was not played": ([(0.3, model("abcdef")), (0.6, cut)], "...abc"),
    "a barge-in after the end cuts no sound": ([(0.3, model("abc")), (5.0, cut)], "...abc"),
    "the next response follows the barge-in": (
        [(0.3, model("abcdef")), (0.6, cut), (1.5, model("xyz", "j"))],
        "...abc.........xyz",
    ),
    "a client that cancels plays no more": ([(0.3, model("abcdef")), (0.6, cancel)], "...abc"),
    "a truncate alone cuts": ([(0.3, model("abcdef")), (0.6, truncate(200))], "...ab"),
    "a truncate after the barge-in says less": ([(0.3, model("abcdef")), (0.6, cut), (0.7, truncate(100))], "...a"),
    "a truncate after the barge-in says more": ([(0.3, model("abcdef")), (0.6, cut), (0.7, truncate(500))], "...abcde"),
    "a truncate says more than there was": ([(0.3, model("abc")), (0.4, cut), (0.5, truncate(9_000))], "...abc"),
    "a truncate of the second item counts from its beginning": (
        [(0.3, model("ab", "i")), (0.3, model("xyz", "j")), (0.7, truncate(100, "j"))],
        "...abx",
    ),
    "a truncate after a starved client counts what was played": (
        [(0.3, model("ab")), (1.0, model("cdef")), (1.2, truncate(300))],
        "...ab.....c",
    ),
    "what comes of an item that was truncated is not played": (
        [(0.3, model("abc")), (0.5, truncate(200)), (0.6, model("def")), (1.0, model("x", "j"))],
        "...ab.....x",
    ),
    "a truncate of what was said before changes no later voice": (
        [(0.3, model("ab", "i")), (1.0, model("xyz", "j")), (9.0, truncate(100, "i"))],
        "...ab.....xyz",
    ),
    "a truncate of an unknown item changes no sound": ([(0.3, model("ab")), (9.0, truncate(0, "other"))], "...ab"),
    "what was written before a late truncate stays": (
        [(0.3, model("abcd")), (0.7 + HOLD_MS / 1_000, look), (2.0, truncate(100))],
        "...abcd",
    ),
}


@pytest.mark.parametrize(("steps", "line"), MODEL.values(), ids=MODEL)
def test_the_models_audio_lies_where_it_is_played(steps: list[Step], line: str) -> None:
    assert played(Voice.MODEL, *steps) == line


def test_what_is_still_to_be_played_waits_for_its_time_and_a_second_more() -> None:
    recording = Recording(BEGAN)
    model("abcdefghij")(recording, BEGAN)
    assert [len(piece.audio) for piece in recording.batch(1, BEGAN + 0.5)] == []
    assert [len(piece.audio) for piece in recording.batch(1, BEGAN + 1.5)] == [5 * TENTH]


def test_who_leaves_has_heard_what_was_played_by_then() -> None:
    recording = Recording(BEGAN)
    model("abcdefghij")(recording, BEGAN)
    assert [(piece.from_ms, piece.ms) for piece in recording.batch(1, BEGAN + 0.5, leaving=True)] == [(0, 500)]


def test_a_batch_is_the_same_until_it_is_written() -> None:
    recording = Recording(BEGAN)
    recording.caller_said(sound("ab"), BEGAN + 1)
    assert recording.batch(3, BEGAN + 1) == recording.batch(4, BEGAN + 1)
    assert [piece.epoch for piece in recording.batch(4, BEGAN + 1)] == [3]
    recording.written(1)
    assert recording.batch(4, BEGAN + 1) == []


def test_silence_needs_no_row() -> None:
    recording = Recording(BEGAN)
    for second in range(10):
        recording.caller_said(bytes(10 * TENTH), BEGAN + 1 + second)
    assert recording.batch(1, BEGAN + 10) == []
    recording.caller_said(sound("a"), BEGAN + 10.1)
    assert [piece.from_ms for piece in recording.batch(1, BEGAN + 11)] == [10_000]


def test_a_long_piece_is_more_than_one_row() -> None:
    recording = Recording(BEGAN)
    recording.caller_said(sound("a" * 120), BEGAN + 12)
    assert [(piece.from_ms, piece.ms) for piece in recording.batch(1, BEGAN + 12)] == [
        (0, 5_000),
        (5_000, 5_000),
        (10_000, 2_000),
    ]


@pytest.mark.parametrize("voice", Voice)
def test_what_has_no_room_is_lost_and_a_piece_says_so(voice: Voice) -> None:
    recording = Recording(BEGAN)
    fits = MAX_HELD_BYTES // (10 * TENTH)
    for second in range(fits + 5):
        does = says("a" * 10) if voice is Voice.CALLER else model("a" * 10)
        does(recording, BEGAN + 1 + second)
    pieces = recording.batch(1, BEGAN + fits + 20)
    (lost,) = [piece for piece in pieces if piece.codec is Codec.LOST]
    assert recording.lost_seconds == 5
    assert abs(lost.ms - 5_000) <= 1_300
    recording.written(len(pieces))
    says("b")(recording, BEGAN + fits + 30)
    assert [piece.audio[:1] for piece in recording.batch(1, BEGAN + fits + 30)] == [b"b"]


@pytest.mark.parametrize("voice", Voice)
def test_room_is_given_back_with_what_is_written_silent_or_not_played(voice: Voice) -> None:
    recording = Recording(BEGAN)
    for round_ in range(3 * MAX_HELD_BYTES // (40 * TENTH)):
        now = BEGAN + 10 * (round_ + 1)
        if voice is Voice.CALLER:
            recording.caller_said(bytes(20 * TENTH) + sound("a" * 20), now)
        else:
            model("a" * 20 + "b" * 20, str(round_))(recording, now)
            (cut if round_ % 2 else truncate(1_000, str(round_)))(recording, now + 1)
        recording.written(len(recording.batch(1, now + 5)))
    assert recording.lost_seconds == 0


def test_a_recording_has_an_end() -> None:
    recording = Recording(BEGAN)
    recording.caller_said(sound("a"), BEGAN + RECORDED_MS_AT_MOST / 1_000 + 1)
    model("a")(recording, BEGAN + RECORDED_MS_AT_MOST / 1_000 + 1)
    assert recording.batch(1, BEGAN + RECORDED_MS_AT_MOST / 1_000 + 9, leaving=True) == []
    assert recording.lost_seconds == 0


def test_each_side_is_kept_in_its_own_format() -> None:
    recording = Recording(BEGAN)
    recording.heard_as({"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"rate": 16_000}}}})
    recording.caller_said(b"a" * 8_000, BEGAN + 1)
    recording.heard_as({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16_000}}}})
    model("aa")(recording, BEGAN + 1)
    pieces = recording.batch(1, BEGAN + 9, leaving=True)
    assert [(piece.codec, piece.rate, piece.ms) for piece in pieces] == [
        (Codec.PCMU, 8_000, 1_000),
        (Codec.PCM, 16_000, 300),
    ]


@pytest.mark.parametrize("audio", ["", "?", "A"])
def test_a_delta_without_audio_is_no_sound(audio: str) -> None:
    recording = Recording(BEGAN)
    recording.model_event(ModelAudio(raw={"delta": audio}, item_id="i", chars=len(audio)), BEGAN + 1)
    recording.client_event({"type": "input_audio_buffer.append", "audio": audio}, BEGAN + 1)
    assert recording.batch(1, BEGAN + 9, leaving=True) == []


def test_a_piece_lies_on_whole_milliseconds_whatever_the_clock_says() -> None:
    recording = Recording(BEGAN)
    for number in range(50):
        recording.caller_said(b"a" * 1_000, BEGAN + 1.00037 + number * 0.0208333)
        if number % 7 == 0:
            recording.written(len(recording.batch(1, BEGAN + 2)))
    pieces = recording.batch(1, BEGAN + 3, leaving=True)
    assert all(len(piece.loudness) == -(-piece.ms // FRAME_MS) for piece in pieces)
