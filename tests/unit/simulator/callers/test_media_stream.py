"""A media stream by itself: its frames, and which marks are answered when."""

from __future__ import annotations

import base64
import json
from typing import Any

from simulator.callers.media_stream import BYTES_PER_MS, MediaStream


def sent(stream: MediaStream, *pieces: int | str) -> None:
    """Have the stream take so many milliseconds of sound, and marks."""
    for piece in pieces:
        if isinstance(piece, str):
            frame: dict[str, Any] = {"event": "mark", "mark": {"name": piece}}
        else:
            payload = base64.b64encode(b"\x55" * piece * BYTES_PER_MS).decode()
            frame = {"event": "media", "media": {"payload": payload}}
        stream.take(json.dumps(frame))


def names(frames: list[str]) -> list[str]:
    return [json.loads(frame)["mark"]["name"] for frame in frames]


def test_it_begins_as_documented_and_counts_its_frames_and_its_time() -> None:
    stream = MediaStream()
    connected, start, *rest = (
        json.loads(frame)
        for frame in (
            *stream.begin("CA1", "AC1", {"token": "ek_1"}),
            stream.says(bytes(160)),
            stream.says(bytes(160)),
            stream.presses("5"),
            stream.stops("CA1", "AC1"),
        )
    )
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert (start["start"]["customParameters"], start["start"]["callSid"]) == ({"token": "ek_1"}, "CA1")
    assert [frame["event"] for frame in rest] == ["media", "media", "dtmf", "stop"]
    assert [frame["media"]["timestamp"] for frame in rest[:2]] == ["0", "20"]
    assert [frame["sequenceNumber"] for frame in (start, *rest)] == ["1", "2", "3", "4", "5"]


def test_a_mark_is_answered_when_what_is_before_it_was_played() -> None:
    stream = MediaStream()
    sent(stream, 30, "a", 20, "b")
    for played_ms, passed in ((20, []), (20, ["a"]), (10, ["b"]), (0, [])):
        sound, answers = stream.play(20)
        assert (len(sound) // BYTES_PER_MS, names(answers)) == (played_ms, passed)


def test_all_is_played_at_once_if_there_is_no_bound_and_a_clear_answers_the_rest() -> None:
    stream = MediaStream()
    sent(stream, 30, "a", 10)
    assert len(stream.play()[0]) == 40 * BYTES_PER_MS
    sent(stream, 30, "b", 10, "c")
    assert names(stream.clear()) == ["b", "c"]
    assert stream.play() == (b"", [])
    assert stream.marks == ["a", "b", "c"]
