"""One item that a response writes, and the events by which the server streams it.

An :class:`Output` keeps what was said so far, so that it can be closed at any time with exactly that.
"""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from typing import Any, Literal

from simulator.behavior import Knobs
from simulator.items import Item, Items
from simulator.scripting.script import Call, Say
from simulator.speech.telephony import encoded
from simulator.speech.vad import BYTES_PER_MS
from simulator.wire import Event, obfuscation, server_event

ItemStatus = Literal["completed", "incomplete"]


@dataclass
class Output:
    """A message or function call that is being written.

    ``items`` is the conversation that it is written into, or None out of band; ``heard_ms`` is the length of
    the sound sent so far.
    """

    of: Say | Call
    response_id: str
    index: int
    audio: bool
    items: Items | None
    knobs: Knobs
    item: Item
    said: str = ""
    heard_ms: int = 0
    sound_format: str = "audio/pcm"
    deltas: int = 0
    is_open: bool = False

    @classmethod
    def of_plan(
        cls, of: Say | Call, response_id: str, index: int, *, audio: bool, items: Items | None, knobs: Knobs
    ) -> Output:
        """Return the output for one part of a plan, not yet opened."""
        return cls(of, response_id, index, audio and isinstance(of, Say), items, knobs, _fresh_item(of, knobs))

    def opening(self) -> list[Event]:
        """Return the events that announce the item, and add it to the conversation."""
        self.is_open = True
        events = [self._event("response.output_item.added", item=copy.deepcopy(self.item))]
        if self.items is not None:
            previous = self.items.last_id
            self.items.append(self.item)
            item = copy.deepcopy(self.item)
            events.append(server_event("conversation.item.added", previous_item_id=previous, item=item))
        if isinstance(self.of, Say):
            events.append(self._part_event("added"))
        return events

    def delta(self, piece: str) -> Event:
        """Return the delta of one more piece of text, transcript or arguments."""
        self.said += piece
        self.deltas += 1
        if isinstance(self.of, Call):
            kind, extra = "response.function_call_arguments.delta", {"call_id": self.item["call_id"]}
        else:
            kind = "response.output_audio_transcript.delta" if self.audio else "response.output_text.delta"
            extra = {"content_index": 0}
        return self._item_event(kind, **extra, delta=piece, obfuscation=obfuscation(piece))

    def sound(self, pcm: bytes) -> Event:
        """Return the delta of one more slice of PCM16 audio."""
        length_ms = len(pcm) // BYTES_PER_MS
        self.heard_ms += length_ms
        if self.items is not None:
            self.items.sounded[self.item["id"]] += length_ms
        delta = base64.b64encode(encoded(pcm, self.sound_format)).decode()
        return self._item_event("response.output_audio.delta", content_index=0, delta=delta)

    def closing(self, status: ItemStatus) -> list[Event]:
        """Return the events that end the item with what was said so far."""
        self.is_open = False
        events = self._call_done() if isinstance(self.of, Call) else self._message_done()
        self.item["status"] = status
        if self.items is not None and self.items.find(self.item["id"]) is not None:
            item = copy.deepcopy(self.item)
            previous = self._done_previous_id(self.items)
            events.append(server_event("conversation.item.done", previous_item_id=previous, item=item))
        events.append(self._event("response.output_item.done", item=copy.deepcopy(self.item)))
        return events

    def _call_done(self) -> list[Event]:
        self.item["arguments"] = self.said
        named = {key: self.item[key] for key in ("call_id", "name", "arguments")}
        return [self._item_event("response.function_call_arguments.done", **named)]

    def _message_done(self) -> list[Event]:
        if self.audio:
            self.item["content"] = [{"type": "output_audio", "transcript": self.said}]
            ends = [
                self._item_event("response.output_audio.done", content_index=0),
                self._item_event("response.output_audio_transcript.done", content_index=0, transcript=self.said),
            ]
        else:
            self.item["content"] = [{"type": "output_text", "text": self.said}]
            ends = [self._item_event("response.output_text.done", content_index=0, text=self.said)]
        return [*ends, self._part_event("done")]

    def _done_previous_id(self, items: Items) -> str | None:
        """Return the id for `done`. Recorded: it is null if the item before is the conversation's first."""
        previous = items.previous_id(self.item["id"])
        knob = self.knobs.done_previous_item_id
        if knob == "null" or (knob == "recorded" and items.is_first(previous)):
            return None
        return previous

    def _part_event(self, edge: Literal["added", "done"]) -> Event:
        kind, name = ("audio", "transcript") if self.audio else ("text", "text")
        part = {"type": kind, name: self.said}
        twice = {"content": dict(part)} if self.knobs.content_part_twice else {}
        return self._item_event(f"response.content_part.{edge}", content_index=0, part=part, **twice)

    def _event(self, kind: str, **fields: Any) -> Event:
        return server_event(kind, response_id=self.response_id, output_index=self.index, **fields)

    def _item_event(self, kind: str, **fields: Any) -> Event:
        return self._event(kind, item_id=self.item["id"], **fields)


def _fresh_item(of: Say | Call, knobs: Knobs) -> Item:
    item: Item = {"id": knobs.new_id("item"), "type": "", "status": "in_progress"}
    if isinstance(of, Call):
        return {**item, "type": "function_call", "name": of.name, "call_id": knobs.new_id("call"), "arguments": ""}
    phase = {"phase": of.phase} if of.phase else {}
    return {**item, "type": "message", "role": "assistant", "content": [], **phase}
