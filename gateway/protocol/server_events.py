"""What the Realtime API says. Each event is decoded once, and its shape is checked as far as anybody here looks.

An event of a type that nobody knows passes; one whose parts are not what the protocol says is dropped, so that
neither the brain nor a client's SDK trips over it. Absent fields are no fault: servers leave out different ones.
Of a name that stands twice in an object the last one counts, for everybody, as nobody reads the text again. How long
an event may be, the connection says (`gateway.upstream.connection`). (Realtime API, server events.)
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gateway.errors import GatewayError

MAX_PROBLEM_CHARS = 200
"""Of a decoder's complaint, which may quote what it complains of."""

MAX_DEPTH = 64
"""A session with tools is a dozen deep; whoever writes the event anew has to climb as far."""
MAX_ID_CHARS = 1_024
"""Of ids and other words of the server: they become keys here and columns in rows. OpenAI's have 36 at most; proxies
that write into an id where it leads make hundreds of them."""
MAX_MOMENT = 2**53
"""Of times, in seconds or milliseconds: as far as they can be reckoned with."""

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


Id = Annotated[str, Meta(max_length=MAX_ID_CHARS)]
Moment = Annotated[float, Meta(ge=-MAX_MOMENT, le=MAX_MOMENT)]


class MalformedEvent(GatewayError):
    """No event of the Realtime API; the text says why."""


class _Item(Struct):
    id: Id | None = None
    type: Id | None = None
    status: Id | None = None
    call_id: str | None = None  # However long: a call is answered by what it was asked with.
    name: str | None = None  # The model's own invention may be long, and is answered.
    content: list[Any] | None = None


class _Response(Struct):
    id: Id | None = None
    status: Id | None = None
    conversation_id: Id | None = None
    output: list[_Item] | None = None


class _AudioIn(Struct):
    turn_detection: dict[str, Any] | None = None


class _Audio(Struct):
    input: _AudioIn | None = None
    output: dict[str, Any] | None = None


class _Session(Struct):
    id: Id | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    turn_detection: dict[str, Any] | None = None
    audio: _Audio | None = None
    expires_at: Moment | None = None


class _Error(Struct):
    code: Id | float | None = None  # Some write the status of HTTP.
    event_id: str | None = None


class _Event(Struct):
    type: Id
    item_id: Id | None = None
    previous_item_id: Id | None = None
    response_id: Id | None = None
    audio_end_ms: Moment | None = None
    item: _Item | None = None
    response: _Response | None = None
    session: _Session | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(dict).decode


def read(frame: str) -> dict[str, Any]:
    """One event as JSON data; raises MalformedEvent where it is none."""
    try:
        event: dict[str, Any] = _decode(frame)
        if frame.count("{") + frame.count("[") > MAX_DEPTH and _is_too_deep(event):
            raise MalformedEvent(f"nested deeper than {MAX_DEPTH} levels")
        if "\\u0000" in frame:
            event = _without_nul(event)
        shape = msgspec.convert(event, _Event)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as problem:
        raise MalformedEvent(str(problem)[:MAX_PROBLEM_CHARS]) from None
    part = REQUIRED.get(shape.type)
    if part is not None and getattr(shape, part) is None:
        raise MalformedEvent(f"{shape.type} without {part}")
    return event


def _is_too_deep(event: dict[str, Any]) -> bool:
    level: list[Any] = [event]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _without_nul(value: Any) -> Any:
    """Postgres keeps no NUL, in whichever column a text may end."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    return value
