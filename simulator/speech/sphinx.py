"""Offline speech recognition, the light way: PCM16 mono 24 kHz in, English words out.

It needs the ``voice`` extra (pocketsphinx, whose English model is in its wheel). The decoder takes the protocol's 24
kHz: its filters are given in hertz, so no resampling is needed, and recognition is better.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import re
import threading
from typing import Any

from simulator.speech.hints import NO_HINTS, Hints
from simulator.speech.vad import SAMPLE_RATE, has_sound

# The window of 25.6 ms has 614 samples at 24 kHz; the transform needs the next power of two.
_TRANSFORM_SIZE = 1024
# The decoder needs a little silence at either end to find the first and last sound.
_MARGIN = bytes(SAMPLE_RATE * 2 // 5)
# Later ones sound like other sentences.
_HYPOTHESES = 60
_LETTERS = re.compile(r"\b(?:[b-hj-z] )+[b-hj-z]\b")

_decoding = threading.Lock()


def available() -> bool:
    """Return whether speech can be recognised."""
    return importlib.util.find_spec("pocketsphinx") is not None


def recognise(pcm: bytes, hints: Hints = NO_HINTS) -> str:
    """Return the words in PCM16 mono 24 kHz audio, lower case; empty without words, or without the extra.

    It takes about a sixth of the audio's length; call it in a thread.
    """
    if not available() or not has_sound(pcm):
        return ""
    with _decoding:
        decoder = _decoder()
        decoder.start_utt()
        decoder.process_raw(_MARGIN + pcm + _MARGIN, full_utt=True)
        decoder.end_utt()
        text = _likeliest(decoder, hints)
    return _LETTERS.sub(_joined, text)


def _likeliest(decoder: Any, hints: Hints) -> str:
    """Return the best hypothesis, or the first of the next ones that has more of the likely words."""
    best = decoder.hyp()
    if best is None:
        return ""
    others = itertools.islice(decoder.nbest(), _HYPOTHESES) if hints.words else ()
    texts = [best.hypstr, *(other.hypstr for other in others if other.hypstr)]
    return str(max(texts, key=lambda text: len(hints.words.intersection(text.split()))))


def _joined(letters: re.Match[str]) -> str:
    """Write spelled letters as one word: "u k" is "UK"."""
    return letters[0].replace(" ", "").upper()


@functools.cache
def _decoder() -> Any:
    module = importlib.import_module("pocketsphinx")
    return module.Decoder(samprate=SAMPLE_RATE, nfft=_TRANSFORM_SIZE, loglevel="FATAL")
