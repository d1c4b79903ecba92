"""The simulator of a line as tests see it: what each conversation was told, and what it is made to do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from tests.local_http import LOCAL
from tests.ports import kept_port

Event = dict[str, Any]


AUDIO = '"type": "response.output_audio.delta"'
"""Most of what is recorded, and nothing that a test looks at."""


@dataclass
class Simulated:
    """A simulator that records into this folder, and has a control door (docs/scenarios.md).

    What was read of the record is kept: it grows long in a session of tests. Any thread may ask.
    """

    folder: Path
    _read: int = 0
    _events: dict[str, dict[int, list[Event]]] = field(default_factory=lambda: {"in": {}, "out": {}})
    _lock: Lock = field(default_factory=Lock)

    @property
    def record(self) -> Path:
        return self.folder / "wire.jsonl"

    def choose_port(self) -> int:
        """A free one, noted so that `order` finds it."""
        port = kept_port()
        self._port_file.write_text(str(port), encoding="utf-8")
        return port

    @property
    def url(self) -> str:
        """The WebSocket's."""
        return f"ws://127.0.0.1:{self._port_file.read_text(encoding='utf-8')}/v1/realtime"

    def order(self, do: str, **rest: str | int) -> list[int]:
        """Have something done to connections; returns the numbers of those that it was for."""
        answer = LOCAL.post(self._door, params={"do": do, **rest})
        assert answer.is_success, answer.text
        numbers: list[int] = answer.json()["connections"]
        return numbers

    def calm(self) -> None:
        """Take back what further connections would meet."""
        self.order("refuse", times=0)
        self.order("knobs")

    def connections(self) -> dict[int, Event]:
        """The open ones: `session`, `expires_at`."""
        found = LOCAL.get(self._door).json()["connections"]
        return {int(number): shown for number, shown in found.items()}

    def heard(self) -> dict[int, list[Event]]:
        """What each connection's client has sent so far, by the connection's number, oldest first."""
        return self._recorded("in")

    def said(self) -> dict[int, list[Event]]:
        """What each connection's client was sent so far, but for sound."""
        return self._recorded("out")

    def about(self, words: str) -> list[int]:
        """The connections whose client has spoken of this, oldest first."""
        return [number for number, events in self.heard().items() if words in json.dumps(events)]

    def outputs(self, number: int) -> list[Event]:
        """The results that a connection was given, as items."""
        items = (event["item"] for event in self.heard()[number] if event["type"] == "conversation.item.create")
        return [item for item in items if item["type"] == "function_call_output"]

    def refusals(self, number: int) -> list[Event]:
        """The errors that a connection was answered."""
        return [event["error"] for event in self.said()[number] if event["type"] == "error"]

    @property
    def _door(self) -> str:
        return f"http://127.0.0.1:{self._port_file.read_text(encoding='utf-8')}/control"

    @property
    def _port_file(self) -> Path:
        return self.folder / "simulator.port"

    def _recorded(self, direction: str) -> dict[int, list[Event]]:
        with self._lock, self.record.open("rb") as record:
            record.seek(self._read)
            for line in record:
                if not line.endswith(b"\n"):  # half written
                    break
                self._read += len(line)
                self._take(line.decode())
            return {number: list(events) for number, events in self._events[direction].items()}

    def _take(self, line: str) -> None:
        if AUDIO in line:
            return
        entry = json.loads(line)
        events = self._events.get(entry["direction"])
        if events is not None:
            events.setdefault(entry["connection"], []).append(entry["event"])
