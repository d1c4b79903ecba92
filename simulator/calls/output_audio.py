"""What the model has said and the caller has not heard yet: the server plays it in real time, and tells when.

On a call the sound goes to the caller alone; its parties get ``output_audio_buffer.started``, ``….stopped`` and
``….cleared`` instead. Pure: the call asks for each piece of sound when its time has come.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from simulator.speech.vad import BYTES_PER_MS
from simulator.wire import Event, server_event


@dataclass(frozen=True)
class Unheard:
    """An item of which the caller has heard so many milliseconds, and not the rest."""

    item_id: str
    content_index: int
    heard_ms: int


@dataclass
class _Item:
    response_id: str
    item_id: str
    content_index: int
    pcm: bytearray = field(default_factory=bytearray)
    played: int = 0


class OutputAudio:
    """The server's output audio buffer, PCM16 mono 24 kHz."""

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._open: set[str] = set()
        self._playing: str | None = None

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to play or to tell."""
        return not self._items and self._playing is None

    def add(self, response_id: str, item_id: str, content_index: int, pcm: bytes) -> None:
        """Take a piece of an item's sound."""
        self._open.add(response_id)
        last = self._items[-1] if self._items else None
        if last is None or (last.item_id, last.content_index) != (item_id, content_index):
            last = _Item(response_id, item_id, content_index)
            self._items.append(last)
        last.pcm += pcm

    def close(self, response_id: str) -> None:
        """Note that a response is done: no more of its sound will come."""
        self._open.discard(response_id)

    def take(self, milliseconds: int) -> tuple[bytes, list[Event]]:
        """Return the next piece of sound, silence where there is none, and what is to be told before it."""
        events: list[Event] = []
        sound = bytearray()
        wanted = milliseconds * BYTES_PER_MS
        while len(sound) < wanted and self._items:
            item = self._items[0]
            events += self._now_plays(item.response_id)
            piece = item.pcm[: wanted - len(sound)]
            del item.pcm[: len(piece)]
            item.played += len(piece)
            sound += piece
            if item.pcm:
                break
            if item.response_id in self._open and len(self._items) == 1:
                break  # more of it comes
            self._items.popleft()
        if not sound and self._playing is not None and self._playing not in self._open:
            events += self._ended("stopped")
        return bytes(sound) + bytes(wanted - len(sound)), events

    def clear(self) -> tuple[list[Event], list[Unheard]]:
        """Drop what is not played; return what to tell, and the items that the caller has not heard to their end."""
        unheard = [
            Unheard(item.item_id, item.content_index, item.played // BYTES_PER_MS) for item in self._items if item.pcm
        ]
        self._items.clear()
        return (self._ended("cleared") if self._playing is not None else []), unheard

    def _now_plays(self, response_id: str) -> list[Event]:
        if response_id == self._playing:
            return []
        before = self._ended("stopped") if self._playing is not None else []
        self._playing = response_id
        return [*before, server_event("output_audio_buffer.started", response_id=response_id)]

    def _ended(self, how: str) -> list[Event]:
        response_id, self._playing = self._playing, None
        return [server_event(f"output_audio_buffer.{how}", response_id=response_id)]
