"""Turn detection on real sound: tones, silence, clicks and noise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.speech.vad import SpeechStarted, SpeechStopped, Vad, loudness
from tests.unit.simulator.rehearsal import silence, sound

SENTENCE = silence(500) + sound(600) + silence(400)


@pytest.mark.parametrize(
    ("padding", "silence_ms", "expected"),
    [
        (300, 200, [SpeechStarted(200), SpeechStopped(1300)]),
        (0, 400, [SpeechStarted(500), SpeechStopped(1500)]),
        (900, 200, [SpeechStarted(0), SpeechStopped(1300)]),
        (300, 500, [SpeechStarted(200)]),
    ],
)
def test_speech_is_found_where_it_is(
    padding: int, silence_ms: int, expected: list[SpeechStarted | SpeechStopped]
) -> None:
    assert Vad(prefix_padding_ms=padding, silence_duration_ms=silence_ms).feed(SENTENCE) == expected


@settings(max_examples=30, deadline=None)
@given(st.integers(min_value=1, max_value=20_000))
def test_it_does_not_matter_how_the_audio_is_sliced(size: int) -> None:
    vad = Vad()
    edges = [edge for start in range(0, len(SENTENCE), size) for edge in vad.feed(SENTENCE[start : start + size])]
    assert edges == Vad().feed(SENTENCE)


def test_a_click_is_not_speech() -> None:
    assert Vad().feed(silence(200) + sound(40) + silence(500)) == []


def test_a_short_pause_does_not_end_a_turn() -> None:
    edges = Vad(silence_duration_ms=200).feed(sound(300) + silence(180) + sound(300) + silence(200))
    assert edges == [SpeechStarted(0), SpeechStopped(980)]


def test_two_sentences_are_two_turns_on_one_clock() -> None:
    edges = Vad(prefix_padding_ms=0).feed(SENTENCE + SENTENCE)
    assert edges == [SpeechStarted(500), SpeechStopped(1300), SpeechStarted(2000), SpeechStopped(2800)]


@pytest.mark.parametrize(("threshold", "heard"), [(0.1, True), (0.5, False), (0.9, False)])
def test_a_lower_threshold_hears_softer_speech(threshold: float, heard: bool) -> None:
    assert bool(Vad(threshold=threshold).feed(sound(300, amplitude=300))) is heard


def test_forgotten_speech_does_not_stop() -> None:
    vad = Vad()
    vad.feed(sound(300))
    vad.forget()
    assert vad.feed(silence(1000)) == []


def test_loudness_is_the_root_mean_square() -> None:
    assert loudness(sound(100, amplitude=10_000)) == pytest.approx(10_000 / 2**0.5, rel=0.01)
    assert loudness(silence(20)) == 0
    assert loudness(b"") == 0
