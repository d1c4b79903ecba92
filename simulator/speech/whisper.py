"""Offline recognition by a model of Whisper: PCM16 mono 24 kHz in, English sentences out.

It needs the ``ears`` extra: faster-whisper, and two wheels that hold the model's files.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from simulator.speech import whisper_model
from simulator.speech.hints import NO_HINTS, Hints
from simulator.speech.vad import has_sound
from simulator.speech.whisper_model import RATE, Hypothesis, available
from simulator.understanding.spoken import words

# Below this mean log probability of a word's parts the model doubts what it heard (benchmarks/RESULTS.md).
_DOUBT = -0.25
# Sound is cut where it is softest, in the last seconds that fit into the model's window.
_CUT_WITHIN_SECONDS = 4
_CUT_SAMPLES = RATE // 10

_hearing = threading.Lock()


def recognise(pcm: bytes, hints: Hints = NO_HINTS) -> str:
    """Return the words in PCM16 mono 24 kHz audio, as written sentences; empty without words.

    It takes the processor 0.4 s for up to 14 s of audio, and three times that if the model doubts; call it in a thread.

    Args:
        pcm: the sound.
        hints: what is likely to be said.
    """
    if not has_sound(pcm):
        return ""
    from simulator.speech.resampling import to_16_khz

    prompt = " ".join(hints.sentences)
    with _hearing:
        return " ".join(filter(None, (_heard(piece, prompt) for piece in pieces(to_16_khz(pcm)))))


def _heard(sound: Any, prompt: str) -> str:
    """Return the words in one piece; what the model doubts is heard again in other forms, and all of them vote."""
    from simulator.speech.denoising import less_noise
    from simulator.speech.resampling import faster

    first = whisper_model.likeliest(sound, prompt)
    if not first or first[0].mean >= _DOUBT:  # noise without words stays without
        return first[0].text if first else ""
    return elected([first, *(whisper_model.likeliest(form(sound), prompt) for form in (less_noise, faster))])


def elected(hearings: Sequence[Sequence[Hypothesis]]) -> str:
    """Return the sentence that is the likeliest in all hearings together; spellings of the same words are one."""
    probability: dict[tuple[str, ...], float] = defaultdict(float)
    spelled: dict[tuple[str, ...], Hypothesis] = {}
    for each in (hypothesis for hearing in hearings for hypothesis in hearing):
        read = tuple(word.normal for word in words(each.text))
        probability[read] += math.exp(each.likelihood)
        spelled[read] = max(spelled.get(read, each), each, key=lambda other: other.likelihood)
    return spelled[max(probability, key=probability.__getitem__)].text


def pieces(sound: Any) -> Iterator[Any]:
    """Yield sound in pieces that fit into the model's window, cut where it is softest."""
    longest = whisper_model.LONGEST_SECONDS * RATE
    while len(sound) > longest:
        soft = sound[longest - _CUT_WITHIN_SECONDS * RATE : longest].reshape(-1, _CUT_SAMPLES)
        quietest = int((soft**2).sum(axis=1).argmin())
        cut = longest - _CUT_WITHIN_SECONDS * RATE + quietest * _CUT_SAMPLES + _CUT_SAMPLES // 2
        yield sound[:cut]
        sound = sound[cut:]
    yield sound


def warm_up() -> None:
    """Load the model, so that the first words do not wait."""
    with _hearing:
        whisper_model.warm_up()


__all__ = ["available", "elected", "pieces", "recognise", "warm_up"]
