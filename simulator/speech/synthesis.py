"""Offline speech synthesis: text in, PCM16 mono 24 kHz out.

With the ``voice`` extra it is real speech (hibari-tts); without it, a short chime that turn detection and
players can still handle.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import os
import re
import sys
import threading
from array import array
from typing import Any

from simulator.speech.vad import SAMPLE_RATE

# A scenario says the same few sentences again and again; one second of speech is 48 kB.
_SENTENCES_KEPT = 128
# Loud enough for any microphone level, far from clipping.
_FULL_SCALE = 32_000
_CHIME_HZ = (660.0, 880.0)
_CHIME_NOTE_S = 0.25
# "UK" is read like a word, "U K" like the letters.
_ACRONYM = re.compile(r"\b[A-Z]{2,3}\b")

_loading = threading.Lock()


def available() -> bool:
    """Return whether real speech can be made."""
    return importlib.util.find_spec("hibari") is not None


@functools.lru_cache(maxsize=_SENTENCES_KEPT)
def speak(text: str) -> bytes:
    """Return a text as speech, PCM16 little-endian mono 24 kHz; a chime without the extra.

    It takes the processor some 10 ms for a second of speech, and half a second the first time.
    """
    if not available():
        return chime()
    with _loading:
        samples = _model()(_readable(text), seed=0)
    return _pcm16(samples.tolist(), _FULL_SCALE)


def _readable(text: str) -> str:
    return _ACRONYM.sub(lambda match: " ".join(match[0]), text)


@functools.cache
def _model() -> Any:
    # The library's runtime reports its use to its vendor, and writes an id to the temporary folder.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module("hibari").Hibari()


@functools.cache
def chime() -> bytes:
    """Return two soft notes, half a second, PCM16 mono 24 kHz."""
    length = int(_CHIME_NOTE_S * SAMPLE_RATE)
    notes = [
        math.sin(2 * math.pi * hertz * i / SAMPLE_RATE) * math.sin(math.pi * i / length)
        for hertz in _CHIME_HZ
        for i in range(length)
    ]
    return _pcm16(notes, _FULL_SCALE // 4)


def _pcm16(samples: list[float], full_scale: int) -> bytes:
    pcm = array("h", (round(max(-1.0, min(1.0, sample)) * full_scale) for sample in samples))
    if sys.byteorder == "big":
        pcm.byteswap()
    return pcm.tobytes()
