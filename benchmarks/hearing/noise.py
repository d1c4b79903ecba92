"""Noise under a sentence: white, or the babble of other speakers, at a ratio of speech to noise in decibels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
SPEAKERS = 6
QUIET_BEFORE, QUIET_AFTER = 0.3, 0.5
"""Seconds that the microphone is open before and after the words: what turn detection hands over."""


def white(length: int, seed: int) -> Samples:
    """Return hiss, as loud at every frequency."""
    return np.random.default_rng(seed).standard_normal(length).astype(np.float32)


def babble(length: int, others: Sequence[Samples], seed: int) -> Samples:
    """Return several other sentences at once, each from a random place on."""
    random = np.random.default_rng(seed)
    mixed = np.zeros(length, np.float32)
    for index in random.choice(len(others), SPEAKERS, replace=False):
        mixed += np.resize(np.roll(others[index], int(random.integers(len(others[index])))), length)
    return mixed


def mixed(speech: Samples, noise: Samples, decibels: float) -> Samples:
    """Return both, the noise so much softer than the speech; the noise is as long as the open microphone."""
    at = (len(noise) - len(speech)) // 2
    scale = _loudness(speech) / _loudness(noise) * 10 ** (-decibels / 20)
    heard = noise * scale
    heard[at : at + len(speech)] += speech
    return heard


def open_microphone(speech: Samples, rate: int) -> int:
    """Return how many samples the microphone is open for these words."""
    return len(speech) + int((QUIET_BEFORE + QUIET_AFTER) * rate)


def pcm16(samples: Samples) -> bytes:
    """Return PCM16 at nine tenths of full scale."""
    peak = float(np.abs(samples).max()) or 1.0
    return (samples * (0.9 * 32767 / peak)).astype("<i2").tobytes()


def _loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) or 1e-9
