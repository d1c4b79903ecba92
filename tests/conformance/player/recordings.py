"""Recordings of real Realtime traffic, played as the server to a gateway that stands where the recorded client stood.

What the server had said is sent; where the client had said something, the gateway's frame is awaited. What depends on
who is talking is put in: the confirmed session shows the gateway's own instructions and tools, and an echoed item
bears the id and the output that the gateway gave it. The ids of calls stay as recorded.

The recorded clients often answered a call before `response.done`; an answer may come here until the next frame that
the recorded client sent after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.player.wire import Event, Wire

FOLDER = Path(os.environ.get("RINGBACK_RECORDINGS") or Path(__file__).parents[3].parent / "shared" / "recordings")

OUTPUT = "function_call_output"


@dataclass(frozen=True)
class Recording:
    """The messages of one recorded WebSocket: pairs of "sent" or "received", and the event."""

    name: str
    messages: tuple[tuple[str, Event], ...]

    def client_frames(self) -> list[Event]:
        """What the person's client sends: not what the gateway says by itself, which is the session and answers."""
        frames: list[Event] = []
        answered = False
        for direction, event in self.messages:
            if direction == "received" or event["type"] == "session.update":
                continue
            if event["type"] == "conversation.item.create" and event["item"]["type"] == OUTPUT:
                answered = True
            elif event["type"] == "response.create" and answered:
                answered = False
            else:
                frames.append(event)
        return frames

    def calls(self) -> list[Event]:
        """The finished function_call items, in order."""
        received = (event for direction, event in self.messages if direction == "received")
        done = (event["item"] for event in received if event["type"] == "response.output_item.done")
        return [item for item in done if item["type"] == "function_call"]


def load(name: str) -> Recording:
    """The recording of that name; the test is skipped where there is none."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        pytest.skip(f"the recording {path} is not here; RINGBACK_RECORDINGS names the folder that has it")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    return Recording(name, tuple((entry["direction"], entry["data"]) for entry in entries))


@dataclass
class Player:
    """Plays one recording on one wire. `played` is what it really sent, after what was put in.

    With `to_the_letter` nothing is put in: a server that shows other words than it was told, and keeps no ids.
    """

    recording: Recording
    to_the_letter: bool = False
    played: list[Event] = field(default_factory=list)
    _session: Event = field(default_factory=dict)
    _owed: list[str] = field(default_factory=list)
    _outputs: dict[str, Event] = field(default_factory=dict)
    _renamed: dict[str, str] = field(default_factory=dict)

    async def play(self, wire: Wire) -> None:
        """The script: walk the recording from its first message to its last."""
        for direction, event in self.recording.messages:
            if direction == "received":
                changed = self._put_in(event)
                self.played.append(changed)
                await wire.send(changed)
            elif _is_answer(event):
                self._owed.append(event["item"]["call_id"])
            else:
                await self._await(wire, event)

    async def _await(self, wire: Wire, expected: Event) -> None:
        """The gateway's counterpart of one recorded frame, and the answers that are due by then."""
        while self._owed:
            frame = await wire.receive("conversation.item.create")
            assert _is_answer(frame), f"an answer was due, and the gateway sent {frame}"
            self._owed.remove(frame["item"]["call_id"])
            self._outputs[frame["item"]["call_id"]] = frame["item"]
        frame = await wire.receive(expected["type"])
        if expected["type"] == "session.update":
            self._session = frame["session"]

    def _put_in(self, event: Event) -> Event:
        if self.to_the_letter:
            return event
        if event["type"] == "session.updated" and "session" in event:
            ours = {key: self._session[key] for key in ("instructions", "tools")}
            return {**event, "session": {**event["session"], **ours}}
        item = event.get("item") or {}
        if item.get("type") == OUTPUT:
            given = self._outputs[item["call_id"]]
            self._renamed[item["id"]] = given.get("id", item["id"])
            event = {**event, "item": {**item, "output": given["output"]}}
        renamed: Event = _rename(event, self._renamed)
        return renamed


def _is_answer(event: Event) -> bool:
    return bool(event["type"] == "conversation.item.create" and event["item"]["type"] == OUTPUT)


def _rename(value: Any, names: dict[str, str]) -> Any:
    """The same JSON with some strings exchanged, wherever they stand."""
    if isinstance(value, dict):
        return {key: _rename(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rename(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def hides(event: Event) -> bool:
    """True where a client has no business with the event: it is about a function call, or the server's account."""
    kinds = {"function_call", OUTPUT}
    return event["type"].startswith(("response.function_call_arguments", "rate_limits.")) or (
        (event.get("item") or {}).get("type") in kinds
    )


def after_confirmation(played: Iterable[Event]) -> list[Event]:
    """What was played from session.updated on: the client is let in by then."""
    events = list(played)
    first = next(index for index, event in enumerate(events) if event["type"] == "session.updated")
    return events[first:]
