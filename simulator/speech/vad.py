"""Turn detection by energy: when the user begins to speak, and when they have finished.

The real server runs a model whose ``threshold`` is a probability. Here the same number, 0 to 1, scales a
loudness: at 0.5 a frame counts as speech when its root mean square reaches ``speech_level``.
"""

from __future__ import annotations

import math
import operator
import sys
from array import array
from dataclasses import dataclass, field

SAMPLE_RATE = 24_000
FRAME_MS = 20
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
# Three frames of sound in a row: a click or a keystroke is shorter, a syllable is longer.
_FRAMES_TO_START = 3
# About -38 dBFS: above the hiss of a microphone, below quiet speech.
DEFAULT_SPEECH_LEVEL = 400.0


@dataclass(frozen=True)
class SpeechStarted:
    """The user speaks; ``at_ms`` counts from the first audio of the session and includes the padding."""

    at_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """The user has been silent long enough; ``at_ms`` includes that silence."""

    at_ms: int


def loudness(frame: bytes) -> float:
    """Return the root mean square of PCM16 little-endian samples, 0 to 32768."""
    samples = array("h", frame[: len(frame) - len(frame) % 2])
    if sys.byteorder == "big":
        samples.byteswap()
    if not samples:
        return 0.0
    return math.sqrt(sum(map(operator.mul, samples, samples)) / len(samples))


def has_sound(pcm: bytes, level: float = DEFAULT_SPEECH_LEVEL) -> bool:
    """Return whether any frame of PCM16 mono 24 kHz audio is as loud as speech."""
    return any(loudness(pcm[start : start + FRAME_BYTES]) >= level for start in range(0, len(pcm), FRAME_BYTES))


@dataclass
class EnergyVad:
    """Finds the edges of speech in a stream of PCM16 mono 24 kHz audio."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    speech_level: float = DEFAULT_SPEECH_LEVEL
    heard_ms: int = 0
    speaking: bool = False
    _rest: bytearray = field(default_factory=bytearray)
    _loud_frames: int = 0
    _silent_ms: int = 0

    def feed(self, pcm: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take more audio, of any length, and return the edges found in it."""
        self._rest += pcm
        edges: list[SpeechStarted | SpeechStopped] = []
        whole = len(self._rest) - len(self._rest) % FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            edge = self._frame(bytes(self._rest[start : start + FRAME_BYTES]))
            if edge is not None:
                edges.append(edge)
        del self._rest[:whole]
        return edges

    def _frame(self, frame: bytes) -> SpeechStarted | SpeechStopped | None:
        self.heard_ms += FRAME_MS
        loud = loudness(frame) >= self.speech_level * self.threshold / 0.5
        return self._while_speaking(loud) if self.speaking else self._while_silent(loud)

    def _while_silent(self, loud: bool) -> SpeechStarted | None:
        self._loud_frames = self._loud_frames + 1 if loud else 0
        if self._loud_frames < _FRAMES_TO_START:
            return None
        began = self.heard_ms - self._loud_frames * FRAME_MS
        self.speaking, self._silent_ms = True, 0
        return SpeechStarted(max(0, began - self.prefix_padding_ms))

    def _while_speaking(self, loud: bool) -> SpeechStopped | None:
        self._silent_ms = 0 if loud else self._silent_ms + FRAME_MS
        if self._silent_ms < self.silence_duration_ms:
            return None
        self.speaking, self._loud_frames = False, 0
        return SpeechStopped(self.heard_ms)

    def forget(self) -> None:
        """Drop speech under way: the client committed or cleared the buffer itself."""
        self.speaking, self._loud_frames, self._silent_ms = False, 0, 0
