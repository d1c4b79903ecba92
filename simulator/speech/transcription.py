"""The transcript of what the user said, which the server sends beside its response, word by word."""

from __future__ import annotations

from collections import deque
from typing import Any

from simulator.speech.chunking import pieces_of_text
from simulator.wire import Event, obfuscation, server_event

_EVENT = "conversation.item.input_audio_transcription"


class Transcription:
    """Plays the transcription events of one spoken item.

    Recorded: each word is a ``delta`` with the space before it, then ``completed`` has the whole sentence and
    the length of the audio in whole seconds.
    """

    def __init__(self, item_id: str, text: str, seconds: float) -> None:
        self._item_id = item_id
        self._text = text
        self._seconds = max(1, round(seconds))
        self._words = deque(pieces_of_text(f" {text}") if text else [])
        self._completed = False

    @property
    def wait_ms(self) -> float | None:
        """Words come at once; None when all were sent."""
        return None if self._completed else 0.0

    def advance(self) -> list[Event]:
        """Return the next delta, or ``completed``."""
        if self._words:
            word = self._words.popleft()
            return [self._event("delta", delta=word, obfuscation=obfuscation(word))]
        self._completed = True
        usage = {"type": "duration", "seconds": self._seconds}
        return [self._event("completed", transcript=self._text, usage=usage)]

    def _event(self, kind: str, **fields: Any) -> Event:
        return server_event(f"{_EVENT}.{kind}", item_id=self._item_id, content_index=0, **fields)
