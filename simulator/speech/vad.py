"""Turn detection: when the user begins to speak, and when they have finished.

The real server runs a model whose ``threshold`` is a probability. A :class:`Judge` gives that number for each frame:
:class:`Energy` by its loudness, ``silero`` by a model.
"""

from __future__ import annotations

import math
import operator
import sys
from array import array
from dataclasses import dataclass, field
from typing import Protocol

SAMPLE_RATE = 24_000
FRAME_MS = 20
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
# Sound without a gap: a click or a keystroke is shorter, a syllable is longer.
_SOUND_TO_START_MS = 60
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


class Judge(Protocol):
    """Says how likely a frame of sound is speech.

    ``frame_ms`` is the length of its frames. Speech has begun at the threshold, and is over at ``slack`` below it.
    """

    frame_ms: int
    slack: float

    def __call__(self, frame: bytes) -> float:
        """Return the likelihood for one frame, PCM16 mono 24 kHz: 0 to 1, or above 1 for what is certain."""


@dataclass
class Energy:
    """Judge by loudness: at a threshold of 0.5, speech has a root mean square of at least ``speech_level``."""

    speech_level: float = DEFAULT_SPEECH_LEVEL
    frame_ms: int = FRAME_MS
    slack: float = 0.0

    def __call__(self, frame: bytes) -> float:
        return 0.5 * loudness(frame) / self.speech_level


@dataclass
class Vad:
    """Finds the edges of speech in a stream of PCM16 mono 24 kHz audio."""

    judge: Judge = field(default_factory=Energy)
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    heard_ms: int = 0
    speaking: bool = False
    _rest: bytearray = field(default_factory=bytearray)
    _sound_ms: int = 0
    _silent_ms: int = 0

    def feed(self, pcm: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take more audio, of any length, and return the edges found in it."""
        self._rest += pcm
        edges: list[SpeechStarted | SpeechStopped] = []
        size = self.judge.frame_ms * BYTES_PER_MS
        whole = len(self._rest) - len(self._rest) % size
        for start in range(0, whole, size):
            edge = self._frame(bytes(self._rest[start : start + size]))
            if edge is not None:
                edges.append(edge)
        del self._rest[:whole]
        return edges

    def _frame(self, frame: bytes) -> SpeechStarted | SpeechStopped | None:
        self.heard_ms += self.judge.frame_ms
        likelihood = self.judge(frame)
        if self.speaking:
            return self._while_speaking(likelihood >= self.threshold - self.judge.slack)
        return self._while_silent(likelihood >= self.threshold)

    def _while_silent(self, sounds: bool) -> SpeechStarted | None:
        self._sound_ms = self._sound_ms + self.judge.frame_ms if sounds else 0
        if self._sound_ms < _SOUND_TO_START_MS:
            return None
        began = self.heard_ms - self._sound_ms
        self.speaking, self._silent_ms = True, 0
        return SpeechStarted(max(0, began - self.prefix_padding_ms))

    def _while_speaking(self, sounds: bool) -> SpeechStopped | None:
        self._silent_ms = 0 if sounds else self._silent_ms + self.judge.frame_ms
        if self._silent_ms < self.silence_duration_ms:
            return None
        self.speaking, self._sound_ms = False, 0
        return SpeechStopped(self.heard_ms)

    def forget(self) -> None:
        """Drop speech under way: the client committed or cleared the buffer itself."""
        self.speaking, self._sound_ms, self._silent_ms = False, 0, 0
