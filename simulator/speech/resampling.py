"""From the 24 kHz of the protocol to the 16 kHz of speech models, and to another pace. It needs numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Both rates divide 48 kHz: two samples there are one of ours, three are one of a model's.
_UP, _DOWN = 2, 3
# Long enough to keep 7 kHz and to drop what is above 9 kHz, which would come back as a false tone.
_TAPS_EACH_SIDE = 48
_SAMPLES_BEFORE = 2 * _TAPS_EACH_SIDE // _UP
BYTES_BEFORE = 2 * _SAMPLES_BEFORE
"""How much of the sound before a piece its filter needs."""


def _low_pass() -> NDArray[np.float32]:
    taps = np.arange(-_TAPS_EACH_SIDE, _TAPS_EACH_SIDE + 1)
    kernel = np.sinc(taps / _DOWN) * np.blackman(len(taps))
    scaled: NDArray[np.float32] = (kernel * (_UP / kernel.sum())).astype(np.float32)
    return scaled


_LOW_PASS = _low_pass()


def to_16_khz(pcm: bytes, before: bytes = bytes(BYTES_BEFORE)) -> NDArray[np.float32]:
    """Return PCM16 mono 24 kHz as samples from -1 to 1 at 16 kHz, a millisecond late.

    Args:
        pcm: the sound; for a gapless stream a multiple of three samples.
        before: the last ``BYTES_BEFORE`` of the piece before it.
    """
    ours = np.frombuffer(before + pcm[: len(pcm) - len(pcm) % 2], "<i2").astype(np.float32) / 32768
    spread = np.zeros(_UP * len(ours), np.float32)
    spread[::_UP] = ours
    return np.convolve(spread, _LOW_PASS, "valid")[::_DOWN].astype(np.float32)


def faster(samples: NDArray[np.float32], by: float = 1.1) -> NDArray[np.float32]:
    """Return the same sound, shorter and higher: another voice says the same words."""
    places = np.arange(int(len(samples) / by)) * by
    shorter: NDArray[np.float32] = np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
    return shorter
