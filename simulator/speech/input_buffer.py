"""The input audio buffer: uncommitted audio of the client, and the turns detected in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.speech.vad import BYTES_PER_MS, Judge, SpeechStarted, SpeechStopped, Vad
from simulator.wire import Refused, new_id

# "Expected at least 100ms of audio": the server's minimum for a commit.
MIN_COMMIT_MS = 100
# Uncommitted silence is dropped after this, so that an open microphone does not fill the memory.
MAX_KEPT_MS = 120_000


class InputBuffer:
    """Uncommitted audio, PCM16 mono 24 kHz, on the session's clock of milliseconds."""

    def __init__(self, judge: Judge, item_ids: Callable[[], str] = lambda: new_id("item")) -> None:
        self._vad = Vad(judge)
        self._pcm = bytearray()
        self._starts_at_ms = 0
        self._detects = False
        self._speech_from_ms = 0
        self._item_ids = item_ids
        self.item_id = item_ids()

    def configure(self, turn_detection: dict[str, Any] | None) -> None:
        """Follow the session's ``turn_detection``; None leaves turns to the client."""
        self._detects = turn_detection is not None
        settings = turn_detection or {}
        self._vad.threshold = settings.get("threshold", 0.5)
        self._vad.prefix_padding_ms = settings.get("prefix_padding_ms", 300)
        self._vad.silence_duration_ms = settings.get("silence_duration_ms", 500)

    @property
    def length_ms(self) -> float:
        """How much uncommitted audio there is."""
        return len(self._pcm) / BYTES_PER_MS

    def append(self, pcm: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take audio and return the edges of speech found in it."""
        self._pcm += pcm
        edges = self._vad.feed(pcm)
        if not self._detects:
            self._vad.forget()
            edges = []
        for edge in edges:
            if isinstance(edge, SpeechStarted):
                self._speech_from_ms = edge.at_ms
        self._forget_old()
        return edges

    def _forget_old(self) -> None:
        excess = int(self.length_ms - MAX_KEPT_MS)
        if excess > 0:
            self._drop_until(self._starts_at_ms + excess)

    def _drop_until(self, at_ms: int) -> None:
        count = max(0, at_ms - self._starts_at_ms)
        del self._pcm[: count * BYTES_PER_MS]
        self._starts_at_ms += count

    def take_turn(self, until_ms: int) -> tuple[str, bytes]:
        """Commit the speech that just stopped and return its item id and audio."""
        self._drop_until(self._speech_from_ms)
        length = (until_ms - self._starts_at_ms) * BYTES_PER_MS
        pcm = bytes(self._pcm[:length])
        self._drop_until(until_ms)
        return self._next_id(), pcm

    def take_all(self) -> tuple[str, bytes]:
        """Commit all audio, and return the item id and the audio.

        Raises:
            Refused: there is less than the server's minimum.
        """
        if self.length_ms < MIN_COMMIT_MS:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of "
                f"audio, but buffer only has {self.length_ms:.2f}ms of audio."
            )
            raise Refused("input_audio_buffer_commit_empty", message)
        pcm = bytes(self._pcm)
        self.clear()
        return self._next_id(), pcm

    def clear(self) -> None:
        """Drop all uncommitted audio."""
        self._starts_at_ms += int(self.length_ms)
        self._pcm.clear()
        self._vad.forget()

    def _next_id(self) -> str:
        item_id, self.item_id = self.item_id, self._item_ids()
        return item_id
