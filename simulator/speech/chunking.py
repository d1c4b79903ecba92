"""Cuts a model's output into deltas: words, pieces of JSON, and slices of sound.

The pieces of one output always join to exactly that output.
"""

from __future__ import annotations

import re

from simulator.speech.vad import BYTES_PER_MS

# The slices that the recorded servers send vary; 100 ms is small enough to be cut off in mid-word.
AUDIO_DELTA_MS = 100

_WORD = re.compile(r"\s*[\w'’]+|\s*[^\w\s]|\s+")
_JSON_BIT = re.compile(r"\s*[\"{}\[\]:,]+|\s*[^\s\"{}\[\]:,]+|\s+")


def pieces_of_text(text: str) -> list[str]:
    """Cut a sentence into words with the space before them, and punctuation marks."""
    return _WORD.findall(text)


def pieces_of_arguments(arguments: str) -> list[str]:
    """Cut the JSON text of a call's arguments into punctuation and values."""
    return _JSON_BIT.findall(arguments)


def pieces_of_audio(pcm: bytes) -> list[bytes]:
    """Cut PCM16 mono 24 kHz into slices of 100 ms; the last one may be shorter."""
    size = AUDIO_DELTA_MS * BYTES_PER_MS
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
