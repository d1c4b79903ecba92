"""The items of a conversation, in order, and the rules by which a client may change them."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from simulator.wire import (
    MAX_ID_LENGTH,
    Refused,
    decoded_audio,
    invalid,
    listed,
    mapping,
    missing,
    new_id,
    text,
    too_long,
)

Item = dict[str, Any]

_CONTENT_OF_ROLE = {
    "system": {"input_text"},
    "user": {"input_text", "input_audio", "input_image"},
    "assistant": {"output_text"},
}
_REQUIRED = {
    "message": ("role", "content"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "mcp_approval_response": ("approval_request_id", "approve"),
}
# Documented: a client can add the assistant's speech as text only.
_NO_ASSISTANT_AUDIO = "A client cannot populate assistant audio; give its transcript as 'output_text'."
# The order of keys in recorded items; `status` is absent from outputs.
_KEYS = ("id", "type", "status", "role", "content", "name", "call_id", "arguments", "output")


@dataclass
class Items:
    """The default conversation's items, oldest first.

    ``audio`` keeps the sound of items, PCM16 mono 24 kHz, apart from the items, as events never carry it.
    ``sounded`` is how many milliseconds of each assistant item were sent as sound. ``seeded`` holds the ids of
    the items that the client wrote, as when it rebuilds a conversation.
    """

    items: list[Item] = field(default_factory=list)
    audio: dict[str, bytes] = field(default_factory=dict)
    sounded: Counter[str] = field(default_factory=Counter)
    seeded: set[str] = field(default_factory=set)

    def find(self, item_id: str) -> Item | None:
        """Return the item with this id, or None."""
        return next((item for item in self.items if item["id"] == item_id), None)

    def previous_id(self, item_id: str) -> str | None:
        """Return the id of the item before this one, or None for the first."""
        index = next(i for i, item in enumerate(self.items) if item["id"] == item_id)
        return self.items[index - 1]["id"] if index else None

    @property
    def last_id(self) -> str | None:
        """The id of the newest item, or None while there is none."""
        return self.items[-1]["id"] if self.items else None

    def is_first(self, item_id: str | None) -> bool:
        """Return whether this id is that of the conversation's first item."""
        return bool(self.items) and self.items[0]["id"] == item_id

    def append(self, item: Item) -> None:
        """Add an item of the server at the end."""
        self.items.append(item)

    def insert(self, item: Item, previous_item_id: str | None) -> None:
        """Insert a checked item after another one, at the start ("root"), or at the end (None).

        Raises:
            Refused: there is no such previous item, or the id was taken meanwhile.
        """
        self.check_new(item["id"])
        self.items.insert(self._position(previous_item_id), item)
        self.seeded.add(item["id"])

    def _position(self, previous_item_id: str | None) -> int:
        if previous_item_id is None:
            return len(self.items)
        if previous_item_id == "root":
            return 0
        for index, item in enumerate(self.items):
            if item["id"] == previous_item_id:
                return index + 1
        message = f"Error: Previous item with item ID '{previous_item_id}' not found."
        raise Refused("item_create_invalid_previous_item_id", message, "previous_item_id")

    def check_position(self, previous_item_id: str | None) -> None:
        """Raise Refused unless :meth:`insert` would find the previous item."""
        self._position(previous_item_id)

    def check_new(self, item_id: str) -> None:
        """Raise Refused when there is an item with this id already."""
        if self.find(item_id) is not None:
            raise invalid("item.id", f"An item with the ID '{item_id}' exists already.")

    def remove(self, item_id: str) -> None:
        """Delete an item, or raise Refused when there is none with this id."""
        self.items.remove(self.require(item_id, "delete"))
        self.audio.pop(item_id, None)

    def require(self, item_id: str, verb: str) -> Item:
        """Return an item, or raise Refused with the code that belongs to ``verb``."""
        item = self.find(item_id)
        if item is None:
            message = f"Error: item with item ID '{item_id}' not found."
            raise Refused(f"item_{verb}_invalid_item_id", message, "item_id")
        return item

    def call(self, call_id: str) -> Item | None:
        """Return the function call with this call id, or None."""
        return next((i for i in self.items if i["type"] == "function_call" and i["call_id"] == call_id), None)

    def output(self, call_id: str) -> Item | None:
        """Return the newest output for this call id, or None."""
        outputs = (i for i in reversed(self.items) if i["type"] == "function_call_output")
        return next((i for i in outputs if i["call_id"] == call_id), None)

    def pending_calls(self) -> list[Item]:
        """Return the completed calls that have no output yet, oldest first."""
        calls = (i for i in self.items if i["type"] == "function_call" and i["status"] == "completed")
        return [call for call in calls if self.output(call["call_id"]) is None]


def checked_item(raw: Any, max_id_length: int = MAX_ID_LENGTH) -> tuple[Item, bytes | None]:
    """Return a client's item as the server would echo it, and the PCM16 audio in it.

    Raises:
        Refused: a client may not create such an item.
    """
    if raw is None:
        raise missing("item")
    kind = mapping(raw, "item").get("type")
    if kind is None:
        raise missing("item.type")
    if text(kind, "item.type") not in _REQUIRED:
        raise invalid("item.type", f"Invalid value: '{kind}'. Supported values are: {_quoted(_REQUIRED)}.")
    for required in _REQUIRED[kind]:
        if required not in raw:
            raise missing(f"item.{required}")
    for name in ("id", "call_id"):
        length = len(text(raw.get(name) or "", f"item.{name}"))
        if length > max_id_length:
            raise too_long(f"item.{name}", length, max_id_length)
    return _normalised(raw)


def _normalised(raw: dict[str, Any]) -> tuple[Item, bytes | None]:
    item = {"id": raw.get("id") or new_id("item"), **{k: copy.deepcopy(v) for k, v in raw.items() if k != "id"}}
    audio = None
    if item["type"] == "message":
        item["status"] = "completed"
        item["content"], audio = _content(item["role"], item["content"])
    elif item["type"] == "function_call":
        text(item["name"], "item.name")
        text(item["arguments"], "item.arguments")
        item["status"] = "completed"
        item["call_id"] = item.get("call_id") or new_id("call")
    elif item["type"] == "function_call_output":
        item.pop("status", None)
        text(item["output"], "item.output")
    known = {key: item[key] for key in _KEYS if key in item}
    return {**known, **{key: value for key, value in item.items() if key not in ("object", *known)}}, audio


def _content(role: Any, parts: Any) -> tuple[list[dict[str, Any]], bytes | None]:
    allowed = _CONTENT_OF_ROLE.get(text(role, "item.role"))
    if allowed is None:
        raise invalid("item.role", f"Invalid value: '{role}'. Supported values are: {_quoted(_CONTENT_OF_ROLE)}.")
    audio: bytes | None = None
    echoed = []
    for index, part in enumerate(listed(parts, "item.content")):
        kind = str(part.get("type"))
        if role == "assistant" and kind == "output_audio":
            raise invalid(f"item.content[{index}].type", "Invalid value: 'output_audio'. " + _NO_ASSISTANT_AUDIO)
        if kind not in allowed:
            message = f"Invalid value: '{kind}'. Supported values are: {_quoted(allowed)}."
            raise invalid(f"item.content[{index}].type", message)
        if kind == "input_audio":
            audio = decoded_audio(part.get("audio") or "", f"item.content[{index}].audio")
            part = {"type": "input_audio", "transcript": part.get("transcript")}
        echoed.append(part)
    return echoed, audio


def _quoted(values: Any) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def text_of(item: Item) -> str:
    """Return all text of a message item, transcripts included."""
    parts = item.get("content") or []
    return " ".join(str(part.get("text") or part.get("transcript") or "") for part in parts).strip()
