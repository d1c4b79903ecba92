"""Pieces of a recording: their formats, how loud they are, and their samples.

Audio is kept as it came: 16-bit PCM (little-endian, one channel) or G.711. All that is done to whole pieces is done by
`bytes` and `array`, so that a piece of a second costs microseconds.
"""

from __future__ import annotations

from array import array
from enum import StrEnum
from typing import NamedTuple

FRAME_MS = 20
"""One number of loudness for so many milliseconds: a pixel of a timeline that is zoomed far in. Every sample rate of
the Realtime API has a whole number of samples in it."""
LOUDEST = 127
"""A frame's loudness is 0 to 127: its largest sample, in steps of 1/128 of full scale."""
LOOKS_A_SECOND = 6_000
"""So many samples of a second are looked at for their loudness: none of a voice's peaks is far from one of these."""
SILENT = 64
"""A piece without a sample above this (-54 dB of full scale) is silence."""
PIECE_MS_AT_MOST = 5_000
"""The longest piece: a row of 240 kB."""
RECORDED_MS_AT_MOST = 4 * 3_600_000
"""A recording ends four hours after its session began: beyond it a WAV file would be larger than 1.4 GB."""


class Voice(StrEnum):
    """Whose voice a piece is."""

    CALLER = "caller"
    MODEL = "model"


class Codec(StrEnum):
    """How a piece is kept. `LOST`: it has no audio, as it could not be kept."""

    PCM = "pcm"
    PCMU = "pcmu"
    PCMA = "pcma"
    LOST = "lost"


class Format(NamedTuple):
    """Format of one voice; `rate` is in samples a second."""

    codec: Codec = Codec.PCM
    rate: int = 24_000

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.codec is Codec.PCM else 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of `FRAME_MS`."""
        return self.rate * FRAME_MS // 1_000 * self.sample_bytes

    def ms(self, length: int) -> float:
        """Return how long so many bytes sound."""
        return length * 1_000 / (self.rate * self.sample_bytes)


class Piece(NamedTuple):
    """One piece of one voice, a row of `recordings`.

    Args:
        from_ms: when it sounds, or sounded for the caller.
        loudness: a number for each frame.
    """

    voice: Voice
    epoch: int
    from_ms: int
    ms: int
    codec: Codec
    rate: int
    audio: bytes
    loudness: bytes


def loudness(form: Format, audio: bytes) -> bytes:
    """Return the loudness of each frame; of the last one, also if it is not whole."""
    step = max(1, form.rate // LOOKS_A_SECOND)
    if form.codec is Codec.PCM:
        heights = audio[1 :: 2 * step].translate(_OF_HIGH_BYTE)
    else:
        heights = audio[::step].translate(_HEIGHTS[form.codec])
    size = max(1, form.rate * FRAME_MS // 1_000 // step)
    return bytes(max(heights[at : at + size]) for at in range(0, len(heights), size))


def is_silent(form: Format, audio: bytes, heights: bytes) -> bool:
    """Return True if nothing can be heard in the audio, whose loudness is `heights`."""
    if any(heights):
        return False
    few = samples(form.codec, audio)[:: max(1, form.rate // LOOKS_A_SECOND)]
    return not few or max(max(few), -min(few)) <= SILENT


def samples(codec: Codec, audio: bytes) -> array[int]:
    """Return the 16-bit samples of a piece."""
    if codec is Codec.PCM:
        return array("h", audio[: len(audio) // 2 * 2])
    low, high = _EXPANDED[codec]
    both = bytearray(2 * len(audio))
    both[0::2], both[1::2] = audio.translate(low), audio.translate(high)
    return array("h", bytes(both))


def _of_mu_law(code: int) -> int:
    code = ~code & 0xFF
    height = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - height if code & 0x80 else height - 0x84


def _of_a_law(code: int) -> int:
    code ^= 0x55
    height, segment = (code & 0x0F) << 4, (code & 0x70) >> 4
    height = height + 8 if segment == 0 else (height + 0x108) << (segment - 1)
    return height if code & 0x80 else -height


_OF_HIGH_BYTE = bytes(byte if byte <= LOUDEST else 255 - byte for byte in range(256))
_VALUES = {Codec.PCMU: [_of_mu_law(code) for code in range(256)], Codec.PCMA: [_of_a_law(code) for code in range(256)]}
_HEIGHTS = {codec: bytes(min(LOUDEST, abs(value) >> 8) for value in values) for codec, values in _VALUES.items()}
_EXPANDED = {
    codec: (bytes(value & 0xFF for value in values), bytes(value >> 8 & 0xFF for value in values))
    for codec, values in _VALUES.items()
}
