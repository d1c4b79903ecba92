"""Less noise under a sentence, and which of two hearings counts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from simulator.speech import whisper
from simulator.speech.hints import NO_HINTS
from tests.unit.simulator.rehearsal import sound

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


SURE, DOUBTED, UNHEARD = (-0.05, "as it is"), (-0.9, "as it is"), (-math.inf, "")


@pytest.mark.parametrize(
    ("first", "second", "text", "hearings"),
    [
        (SURE, (-0.01, "cleaned"), "as it is", 1),
        (DOUBTED, (-0.4, "cleaned"), "cleaned", 2),
        (DOUBTED, (-1.5, "cleaned"), "as it is", 2),
        (DOUBTED, UNHEARD, "as it is", 2),
        (UNHEARD, (-0.4, "you"), "", 1),
    ],
)
def test_what_the_model_doubts_is_heard_again_with_less_noise(
    monkeypatch: pytest.MonkeyPatch, first: tuple[float, str], second: tuple[float, str], text: str, hearings: int
) -> None:
    answers = [first, second]
    monkeypatch.setattr(whisper, "_words", lambda samples, hints: answers.pop(0))
    assert whisper.recognise(sound(400), NO_HINTS) == text
    assert 2 - len(answers) == hearings
