"""Less noise under a sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="the extra ears is not installed")

RATE = 16_000


def decibels(samples: Any) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def test_noise_is_softer_in_the_pauses_and_speech_keeps_its_loudness() -> None:
    from simulator.speech.denoising import less_noise

    hiss = np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32) * 0.02
    voice = np.zeros(3 * RATE, np.float32)
    voice[RATE : 2 * RATE] = 0.3 * np.sin(np.arange(RATE) * 440 * math.tau / RATE)
    cleaned = less_noise(hiss + voice)
    assert decibels(cleaned[: RATE // 2]) < decibels(hiss) - 10
    spoken = slice(RATE + 1_000, 2 * RATE - 1_000)
    assert decibels(cleaned[spoken]) == pytest.approx(decibels(voice[spoken]), abs=0.5)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 5_000])
def test_a_sentence_of_any_length_keeps_it(length: int) -> None:
    from simulator.speech.denoising import less_noise

    samples = np.random.default_rng(2).standard_normal(length).astype(np.float32) * 0.1
    cleaned = less_noise(samples)
    assert (len(cleaned), cleaned.dtype) == (length, np.float32)
    assert bool(np.isfinite(cleaned).all())


def test_silence_stays_as_it_is() -> None:
    from simulator.speech.denoising import less_noise

    assert not less_noise(np.zeros(RATE, np.float32)).any()
