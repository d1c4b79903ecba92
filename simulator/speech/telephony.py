"""The laws of the telephone network (ITU-T G.711): 8 kHz with 8 bits, from and to PCM16 mono 24 kHz.

``audio/pcmu`` is µ-law, ``audio/pcma`` A-law, as the Realtime API names them.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from functools import cache
from itertools import pairwise

RATE = 8_000
ULAW, ALAW = "audio/pcmu", "audio/pcma"
_RATIO = 3
_BIAS = 0x84


def encoded(pcm: bytes, kind: str) -> bytes:
    """Return PCM in a format of the Realtime API; what is no law of the telephone network stays as it is."""
    if kind not in (ULAW, ALAW):
        return pcm
    samples = _samples(pcm[: len(pcm) - len(pcm) % (2 * _RATIO)])
    means = (sum(samples[at : at + _RATIO]) // _RATIO for at in range(0, len(samples), _RATIO))
    levels, codes = _nearest(kind)
    return bytes(codes[bisect_right(levels, mean)] for mean in means)


def decoded(sound: bytes, kind: str) -> bytes:
    """Return sound in a format of the Realtime API as PCM, with straight lines between its samples."""
    if kind not in (ULAW, ALAW):
        return sound
    table = _table(kind)
    pcm = array("h")
    before = 0
    for code in sound:
        sample = table[code]
        pcm.extend(before + (sample - before) * step // _RATIO for step in range(1, _RATIO + 1))
        before = sample
    return _bytes(pcm)


@cache
def _table(kind: str) -> tuple[int, ...]:
    """Return the sample of each code."""
    return tuple(map(_ulaw_sample if kind == ULAW else _alaw_sample, range(256)))


@cache
def _nearest(kind: str) -> tuple[list[int], list[int]]:
    """Return the borders between codes, from the lowest, and the code below each of them."""
    known = {sample: code for code, sample in enumerate(_table(kind))}
    samples = sorted(known)
    borders = [(low + high) // 2 for low, high in pairwise(samples)]
    return borders, [known[sample] for sample in samples]


def _ulaw_sample(code: int) -> int:
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + _BIAS << (inverted >> 4 & 7)) - _BIAS
    return -magnitude if inverted & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    flipped = code ^ 0x55
    exponent = flipped >> 4 & 7
    magnitude = ((flipped & 0x0F) << 4) + (0x108 if exponent else 8)
    magnitude <<= max(0, exponent - 1)
    return magnitude if flipped & 0x80 else -magnitude


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _bytes(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
