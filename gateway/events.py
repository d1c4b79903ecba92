"""What the Realtime API says. Each event is decoded once, and its shape is checked as far as anybody here looks.

An event of a type that nobody knows passes; one whose parts are not what the protocol says is dropped, so that
neither the brain nor a client's SDK trips over it. Absent fields are no fault: servers leave out different ones.
(Realtime API, server events.)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

MAX_PROBLEM_CHARS = 200
"""Of a decoder's complaint, which may quote what it complains of."""

REQUIRED = {
    "error": "error",
    "response.created": "response",
    "response.done": "response",
    "response.output_item.added": "item",
    "response.output_item.done": "item",
    "conversation.item.added": "item",
    "conversation.item.created": "item",
    "conversation.item.done": "item",
}
"""Events that mean nothing without a part of theirs."""


class Malformed(Exception):
    """No event of the Realtime API; the text says why."""


class _Item(Struct):
    id: str | None = None
    type: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None


class _Response(Struct):
    id: str | None = None
    status: str | None = None
    conversation_id: str | None = None
    output: list[_Item] | None = None


class _AudioIn(Struct):
    turn_detection: dict[str, Any] | None = None


class _Audio(Struct):
    input: _AudioIn | None = None


class _Session(Struct):
    id: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    turn_detection: dict[str, Any] | None = None
    audio: _Audio | None = None


class _Error(Struct):
    event_id: str | None = None


class _Event(Struct):
    type: str
    item_id: str | None = None
    previous_item_id: str | None = None
    response_id: str | None = None
    item: _Item | None = None
    response: _Response | None = None
    session: _Session | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(dict).decode


def read(frame: str) -> dict[str, Any]:
    """One event as JSON data; raises Malformed where it is none."""
    try:
        event: dict[str, Any] = _decode(frame)
        shape = msgspec.convert(event, _Event)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise Malformed(str(problem)[:MAX_PROBLEM_CHARS]) from None
    part = REQUIRED.get(shape.type)
    if part is not None and getattr(shape, part) is None:
        raise Malformed(f"{shape.type} without {part}")
    return event
