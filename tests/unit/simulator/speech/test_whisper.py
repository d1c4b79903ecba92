"""What the ears for people do around their model: which hearing counts, where sound is cut, which weights are taken."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.speech import whisper, whisper_model
from simulator.speech.hints import NO_HINTS
from simulator.speech.whisper_model import FILES, Hypothesis
from tests.unit.simulator.rehearsal import sound

np = pytest.importorskip("numpy", reason="the extra ears is not installed")


def heard(*likely: tuple[str, float], mean: float = -0.1) -> list[Hypothesis]:
    return [Hypothesis(text, math.log(probability), mean) for text, probability in likely]


SURE, DOUBTED = heard(("as it is", 0.5)), heard(("as it is", 0.3), ("is it", 0.2), mean=-0.9)


@pytest.mark.parametrize(
    ("hearings", "text"),
    [
        ([SURE], "as it is"),
        ([SURE, heard(("cleaned", 0.4)), heard(("cleaned", 0.4))], "cleaned"),
        ([DOUBTED, heard(("Is it?", 0.15)), []], "is it"),
        ([heard(("Order 1042.", 0.2), ("Ordered.", 0.3)), heard(("order ten forty two", 0.25))], "order ten forty two"),
    ],
)
def test_the_sentence_that_is_likeliest_in_all_hearings_is_elected(hearings: list[list[Hypothesis]], text: str) -> None:
    assert whisper.elected(hearings) == text


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([SURE], "as it is"),
        ([DOUBTED, heard(("cleaned", 0.9)), []], "cleaned"),
        ([DOUBTED, [], []], "as it is"),
        ([[]], ""),
    ],
)
def test_what_the_model_doubts_is_heard_again_in_other_forms(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[Hypothesis]], text: str
) -> None:
    left = list(answers)
    monkeypatch.setattr(whisper_model, "likeliest", lambda samples, prompt: left.pop(0))
    assert whisper.recognise(sound(400), NO_HINTS) == text
    assert left == []


@pytest.mark.parametrize("seconds", [0, 1, 14, 14.1, 30, 61])
def test_long_sound_is_cut_into_pieces_that_fit(seconds: float) -> None:
    whole = np.random.default_rng(3).standard_normal(int(seconds * whisper_model.RATE)).astype(np.float32)
    found = list(whisper.pieces(whole))
    assert bool((np.concatenate(found) == whole).all())
    assert all(len(piece) <= whisper_model.LONGEST_SECONDS * whisper_model.RATE for piece in found)
    assert all(len(piece) >= 10 * whisper_model.RATE for piece, _ in pairwise(found))


def test_long_sound_is_cut_in_a_pause() -> None:
    whole = np.ones(20 * whisper_model.RATE, np.float32)
    pause = slice(12 * whisper_model.RATE, 12 * whisper_model.RATE + whisper_model.RATE // 5)
    whole[pause] = 0
    first, _ = whisper.pieces(whole)
    assert pause.start < len(first) < pause.stop


def test_the_same_words_are_faster() -> None:
    from simulator.speech.resampling import faster

    tone = np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    shorter = faster(tone, by=1.25)
    assert (len(shorter), shorter.dtype) == (12_800, np.float32)
    assert shorter == pytest.approx(np.sin(np.arange(12_800) * 0.125), abs=0.01)


@pytest.mark.parametrize("missing", sorted({places[-1] for places in FILES.values()}))
def test_a_model_with_a_missing_file_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: tuple[str, str]
) -> None:
    monkeypatch.setattr(whisper_model, "_place", lambda named: tmp_path / named[1])
    for _, name in (place for places in FILES.values() for place in places):
        (tmp_path / name).touch()
    assert whisper.available()
    (tmp_path / missing[1]).unlink()
    assert not whisper.available()


@pytest.mark.skipif(not whisper.available(), reason="the extra ears is not installed")
def test_weights_that_were_not_published_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper_model, "SHA256", "0" * 64)
    with pytest.raises(OSError, match="install ringback's extra `ears` again"):
        whisper_model._loaded.__wrapped__()
