"""The waveform of a recording: how loud each voice is, as a few numbers for a whole talk."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel

from ringback.recordings.audio import FRAME_MS, Codec, Voice

MAX_POINTS = 10_000
"""Of one answer: more than a screen is wide."""
POINTS = 1_000


class Loss(BaseModel):
    """A time of which a voice could not be kept."""

    voice: Voice
    from_ms: int
    ms: int


class Waveform(BaseModel):
    """Loudness of both voices. `caller` and `model` hold a number from 0 to 127 for each `point_ms` of `length_ms`."""

    object: Literal["session.waveform"] = "session.waveform"
    session_id: str
    length_ms: int
    point_ms: float
    caller: list[int]
    model: list[int]
    lost: list[Loss]


def waveform(session_id: str, pieces: Iterable[Any], length_ms: int, points: int) -> Waveform:
    """Return the waveform of the first `length_ms` of a recording.

    Args:
        pieces: each with the fields of `ringback.recordings.audio.Piece`, but for the audio.
        points: how many numbers of each voice are wanted; a short talk has fewer, one for each frame.
    """
    frames = max(1, -(-length_ms // FRAME_MS))
    points = min(points, frames)
    heights = {voice: bytearray(frames) for voice in Voice}
    lost = []
    for piece in pieces:
        if piece.codec == Codec.LOST:
            lost.append(Loss(voice=Voice(piece.voice), from_ms=piece.from_ms, ms=piece.ms))
            continue
        line, at = heights[Voice(piece.voice)], piece.from_ms // FRAME_MS
        loud = piece.loudness[: max(0, frames - at)]
        line[at : at + len(loud)] = loud
    edges = [number * frames // points for number in range(points + 1)]
    drawn = {voice: [max(line[begin:end]) for begin, end in pairwise(edges)] for voice, line in heights.items()}
    return Waveform(
        session_id=session_id,
        length_ms=length_ms,
        point_ms=frames * FRAME_MS / points,
        caller=drawn[Voice.CALLER],
        model=drawn[Voice.MODEL],
        lost=lost,
    )
