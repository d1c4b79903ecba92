"""The simulator's record, read while it is written: the one clock by which all sides are measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MICROPHONE = '"input_audio_buffer.append"'
"""Fifty lines a second that say nothing."""


@dataclass(frozen=True)
class Entry:
    """One frame at the simulator. `direction` is "in" or "out", or "open", "close" and "refused" without an event."""

    ms: float
    connection: int
    direction: str
    event: dict[str, Any]

    @property
    def kind(self) -> str:
        """The event's type."""
        return str(self.event.get("type", ""))


class Recording:
    """A record that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def more(self) -> list[Entry]:
        """What was written since the last look."""
        found: list[Entry] = []
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):  # half written
                    break
                self._read += len(line)
                if MICROPHONE not in (text := line.decode()):
                    found.append(entry_of(json.loads(text)))
        return found


def entry_of(line: dict[str, Any]) -> Entry:
    """A line of the record."""
    return Entry(line["ms"], line["connection"], line["direction"], line.get("event") or {})
