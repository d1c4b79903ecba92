"""What the user says aloud, as a file for the drivers: real speech, as some frameworks listen for themselves."""

from __future__ import annotations

from pathlib import Path

from simulator.speech import synthesis
from simulator.speech.vad import FRAME_BYTES, loudness

WORDS = "Are you really really still there now?"
LOUD = 500.0
"""The silence before the first word is left out, so that the user speaks when it is said that they do."""


def write_speech(path: Path) -> None:
    """PCM16, mono, 24 kHz, from the first sound on; more than a second without a pause.

    Raises:
        SystemExit: nothing can speak here.
    """
    if not synthesis.available():
        raise SystemExit("the user cannot speak: install ringback[voice]")
    pcm = synthesis.speak(WORDS)
    frames = range(0, len(pcm), FRAME_BYTES)
    path.write_bytes(pcm[next(start for start in frames if loudness(pcm[start : start + FRAME_BYTES]) > LOUD) :])
