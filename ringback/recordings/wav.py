"""A recording as a WAV file: 16-bit PCM, the caller on the left, the model on the right.

The place of each moment in the file follows from its time, so any part can be made from the pieces of that time alone.
Where no piece is, there is silence.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ringback.recordings.audio import Codec, Voice, samples

HEADER_BYTES = 44
STEREO_BYTES = 4
"""Of one sample of both channels."""
BLOCK_MS = 5_000
"""So much is made at a time: a millisecond or two of computing, and a megabyte."""
ONE_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
"""Of numbers that a file may have; a longer one asks for the whole, as what cannot be read does."""


class Sound(NamedTuple):
    """The whole of a recording: its samples a second, and how long it is."""

    rate: int
    ms: int

    @property
    def samples(self) -> int:
        """Samples of each channel."""
        return self.rate * self.ms // 1_000

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return HEADER_BYTES + STEREO_BYTES * self.samples


class Block(NamedTuple):
    """A part of the file: `length` samples of each channel from `first` on, less `skip` bytes at their beginning.

    Args:
        size: bytes that are wanted of it.
    """

    first: int
    length: int
    skip: int
    size: int

    def times(self, rate: int) -> tuple[int, int]:
        """Return from when until when its pieces sound, in milliseconds, rounded outwards."""
        return self.first * 1_000 // rate, -(-(self.first + self.length) * 1_000 // rate)


def header(sound: Sound) -> bytes:
    """Return the file's first `HEADER_BYTES` bytes."""
    length, rate = STEREO_BYTES * sound.samples, sound.rate
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate, rate * STEREO_BYTES, STEREO_BYTES, 16)
    riff = struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + length, b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", length)


def asked_range(size: int, asked: str | None) -> tuple[int, int] | None:
    """Return the first byte that is asked for, and the one after the last.

    None: the range of the header `Range` is outside of the file. A header that asks for several ranges, or that cannot
    be read, asks for the whole (RFC 9110, 14.2).
    """
    found = ONE_RANGE.fullmatch((asked or "").replace(" ", ""))
    if found is None or not any(found.groups()):
        return 0, size
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) else None
    begin, end = int(first), min(size, int(last) + 1) if last else size
    return (begin, end) if begin < end else None


def blocks(sound: Sound, begin: int, end: int) -> Iterator[Block]:
    """Yield the parts that hold these bytes of the file; the header is none of them."""
    per_block = sound.rate * BLOCK_MS // 1_000
    at = max(begin, HEADER_BYTES) - HEADER_BYTES
    until = end - HEADER_BYTES
    while at < until:
        first = at // (STEREO_BYTES * per_block) * per_block
        count = min(per_block, sound.samples - first)
        skip = at - STEREO_BYTES * first
        size = min(STEREO_BYTES * count - skip, until - at)
        yield Block(first, count, skip, size)
        at += size


def made(sound: Sound, block: Block, pieces: Iterable[Any]) -> bytes:
    """Return the bytes of a part.

    Args:
        pieces: those of its time, each with the fields of `ringback.recordings.audio.Piece`.
    """
    sides = {voice: array("h", bytes(2 * block.length)) for voice in Voice}
    for piece in pieces:
        if piece.codec != Codec.LOST:
            heard = _at_rate(samples(Codec(piece.codec), piece.audio), piece.rate, sound.rate)
            _lay(sides[Voice(piece.voice)], heard, piece.from_ms * sound.rate // 1_000 - block.first)
    both = array("h", bytes(STEREO_BYTES * block.length))
    both[0::2], both[1::2] = sides[Voice.CALLER], sides[Voice.MODEL]
    return both.tobytes()[block.skip : block.skip + block.size]


def _lay(side: array[int], heard: array[int], at: int) -> None:
    begin, end = max(0, at), min(len(side), at + len(heard))
    if begin < end:
        side[begin:end] = heard[begin - at : end - at]


def _at_rate(heard: array[int], rate: int, wanted: int) -> array[int]:
    """Return the samples at another rate, which is higher. Each stands for as long as it did before."""
    if rate == wanted:
        return heard
    times, rest = divmod(wanted, rate)
    if rest:
        return array("h", [heard[at * rate // wanted] for at in range(len(heard) * wanted // rate)])
    longer = array("h", bytes(2 * times * len(heard)))
    for shift in range(times):
        longer[shift::times] = heard
    return longer
