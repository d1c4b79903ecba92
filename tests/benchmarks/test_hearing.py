"""How benchmarks/ears.py counts: words are compared fairly, and noise is as loud as it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hearing.noise import babble, mixed, white
from benchmarks.hearing.sentences import HELD_OUT, SETS, TUNED
from benchmarks.hearing.words import errors, read
from simulator.speech import sphinx, synthesis
from tests.benchmarks.test_benchmarks import printed

RATE = 24_000


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("Where is my parcel?", "where is my parcel", 0),
        ("Where is order A one thousand forty two?", "Where is order A-1042?", 0),
        ("Look up invoice number ten forty two.", "Lookup invoice number 1042.", 0),
        ("Where is order A one oh four two?", "Where is order A-1042?", 0),
        ("Where is order A one oh four two?", "where is order a ten forty two", 0),
        ("Book a table at seven thirty.", "Book a table at 7.30.", 0),
        ("Transfer fifty dollars.", "Transfer $50.", 0),
        ("My number is five five five one two three four.", "my number is 555-1234", 0),
        ("What is the price?", "What's the price?", 0),
        ("Thank you, goodbye.", "Thank you. Good bye!", 0),
        ("The third of December.", "The 3rd of December.", 0),
        ("Where is order A one oh four two?", "Where is my order at 1042?", 2),
        ("Close my account.", "Close my count.", 1),
        ("Yes, please.", "", 2),
        ("Yes.", "Yes, please do.", 2),
    ],
)
def test_wrong_words_are_counted_and_spellings_are_not(said: str, heard: str, wrong: int) -> None:
    assert errors(said, heard) == (wrong, len(read(said)))


@pytest.mark.parametrize("sentences", SETS.values(), ids=SETS)
def test_there_are_sentences_enough_and_each_is_another(sentences: tuple[str, ...]) -> None:
    assert len(set(sentences)) == len(sentences) >= 50


def test_no_sentence_is_judged_that_was_tuned_on() -> None:
    assert {tuple(read(said)) for said in HELD_OUT} & {tuple(read(said)) for said in TUNED} == set()


@pytest.mark.parametrize("decibels", [20.0, 10.0, 0.0])
def test_noise_is_so_much_softer_than_the_speech(decibels: float) -> None:
    speech = np.sin(np.arange(RATE) * 440 * 2 * np.pi / RATE).astype(np.float32)
    others = [np.sin(np.arange(RATE) * hertz * 2 * np.pi / RATE).astype(np.float32) for hertz in range(200, 900, 100)]
    for noise in (white(2 * RATE, 1), babble(2 * RATE, others, 1)):
        left = mixed(speech, noise, decibels)
        left[RATE // 2 : RATE // 2 + RATE] -= speech
        ratio = 10 * np.log10(np.mean(speech**2) / np.mean(left**2))
        assert ratio == pytest.approx(decibels, abs=0.01)


@pytest.mark.long
@pytest.mark.skipif(not (sphinx.available() and synthesis.available()), reason="the extra voice is not installed")
def test_ears_are_measured_by_voice_and_noise(tmp_path: Path) -> None:
    words = [
        "--ears",
        "sphinx",
        "--voices",
        "hibari",
        "--noises",
        "none",
        "white, 20 dB",
        "--set",
        "tuned",
        "--sentences",
        "2",
    ]
    lines = printed("ears.py", *words, "--raw", str(tmp_path))
    assert [line.split(" | ")[:2] for line in lines if line.startswith("| sphinx")] == [["| sphinx", "hibari"]]
    raw = [json.loads(line) for line in (tmp_path / "ears.jsonl").read_text().splitlines()]
    assert [(line["noise"], line["words"]) for line in raw[1:]] == [("none", 13), ("white, 20 dB", 13)]
