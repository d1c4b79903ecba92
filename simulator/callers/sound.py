"""Sound of callers: WAV files, and µ-law, the telephone network's 8 kHz with 8 bits. All else is PCM16 mono 24 kHz."""

from __future__ import annotations

import sys
import wave
from array import array
from functools import cache
from pathlib import Path

from simulator.speech.vad import SAMPLE_RATE

ULAW_RATE = 8_000
ULAW_SILENCE = b"\xff"
_RATIO = SAMPLE_RATE // ULAW_RATE
_BIAS = 0x84
_LOUDEST = 32_635


class SoundError(ValueError):
    """The file is no sound that a caller can speak; the message says which is."""


def read(path: Path) -> bytes:
    """Return a file's sound.

    Raises:
        SoundError: it is no WAV file, or of another form.
    """
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if form != (1, 2, SAMPLE_RATE):
                raise SoundError(f"{path}: expected one channel of 16 bits at {SAMPLE_RATE} Hz, not {form}.")
            return file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SoundError(f"{path}: no WAV file: {error}.") from error


def write(path: Path, pcm: bytes) -> None:
    """Write a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)


def to_ulaw(pcm: bytes) -> bytes:
    """Return sound as the telephone network carries it: each sample is the mean of three."""
    samples = _samples(pcm[: len(pcm) - len(pcm) % (2 * _RATIO)])
    return bytes(_encoded(sum(samples[at : at + _RATIO]) // _RATIO) for at in range(0, len(samples), _RATIO))


def from_ulaw(ulaw: bytes) -> bytes:
    """Return sound from the telephone network, with straight lines between its samples."""
    table = _decoded()
    pcm = array("h")
    before = 0
    for code in ulaw:
        sample = table[code]
        pcm.extend(before + (sample - before) * step // _RATIO for step in range(1, _RATIO + 1))
        before = sample
    return _bytes(pcm)


def _encoded(sample: int) -> int:
    """Return the code of one sample, by ITU-T G.711."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _LOUDEST) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


@cache
def _decoded() -> tuple[int, ...]:
    """Return the sample of each code."""
    samples = []
    for code in range(256):
        inverted = ~code & 0xFF
        magnitude = (((inverted & 0x0F) << 3) + _BIAS << (inverted >> 4 & 7)) - _BIAS
        samples.append(-magnitude if inverted & 0x80 else magnitude)
    return tuple(samples)


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _bytes(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
