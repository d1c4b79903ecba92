"""What a client is told of a frame that could not be decoded, and the bounds of one that can."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from gateway.protocol.client_events import MAX_EVENT_ID_CHARS, WITH_MEDIA
from gateway.protocol.item_fields import PARTS
from gateway.protocol.json_strictness import Broken, broken_rule
from gateway.protocol.rejections import FORBIDDEN, Rejection
from ringback.agents.client_policy import ClientPolicy

MAX_PLAIN_CHARS = 256 * 1024
"""Of a frame that carries neither audio nor pictures: four times the longest text."""
MAX_MEDIA_CHARS = 20 * 1024 * 1024 + MAX_PLAIN_CHARS
"""Of one that does: 15 MiB in base64, the Realtime API's limit. The WebSocket has a tighter one, as a setting."""
MAX_PLAIN_VALUES = 500
"""Names and list entries in a frame: the longest event of a client that brings no tools has about a hundred."""
MAX_VALUES = 10_000
"""The same for clients that bring tools: 64 schemas."""
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)


class _Part(Struct):
    type: Any = None


class _Item(Struct):
    type: Any = None
    role: Any = None


class _Peek(Struct):
    type: Any = None
    event_id: Any = None


class _PeekItem(Struct):
    item: _Item


class _PeekContent(Struct):
    content: list[_Part]


class _PeekParts(Struct):
    item: _PeekContent


_peek = msgspec.json.Decoder(_Peek).decode
_peek_item = msgspec.json.Decoder(_PeekItem).decode
_peek_parts = msgspec.json.Decoder(_PeekParts).decode


def messages_only(allowed: ClientPolicy) -> str:
    """What a client is told that creates an item of another kind."""
    roles = " and ".join(allowed.roles)
    return f"A client may create messages of the role {roles} only."


def most_values(allowed: ClientPolicy) -> int:
    """Of names and list entries in a frame."""
    return MAX_VALUES if allowed.brings_tools else MAX_PLAIN_VALUES


def too_large(frame: str) -> Rejection | None:
    """None where it carries what may be large."""
    try:
        peeked = _peek(frame)
    except DECODE_ERRORS:
        peeked = _Peek()
    most = MAX_MEDIA_CHARS if peeked.type in WITH_MEDIA else MAX_PLAIN_CHARS
    if len(frame) <= most:
        return None
    sentence = f"The frame has {len(frame):,} characters, and may have {most:,}: send less at once."
    return Rejection("too_large", sentence, readable(peeked.event_id))


def refused(frame: str, problem: str, allowed: ClientPolicy) -> Rejection:
    """The rule that it breaks, for a frame that the decoder did not take; `problem` is what that said."""
    broken = broken_rule(frame, most_values(allowed))
    try:
        peeked = _peek(frame)
    except DECODE_ERRORS:
        return broken_refusal(broken, None) if broken else _no_json(problem)
    event_id = readable(peeked.event_id)
    if broken is not None:
        return broken_refusal(broken, event_id)
    if peeked.type is None:
        return Rejection("invalid_event", "The 'type' field is missing.", event_id)
    kind = str(peeked.type)[:64]
    if kind in FORBIDDEN:
        return Rejection("forbidden_event", f"A client may not send {kind}: {FORBIDDEN[kind]}.", event_id)
    if kind == "conversation.item.create" and not _is_own_item(frame, allowed):
        return Rejection("forbidden_event", f"{messages_only(allowed)[:-1]}: {problem}.", event_id)
    return Rejection("invalid_value", f"{kind}: {problem}.", event_id)


def _is_own_item(frame: str, allowed: ClientPolicy) -> bool:
    """An item of a kind that is the client's to create, whatever else is wrong with it."""
    try:
        item = _peek_item(frame).item
        if item.type == "function_call_output":
            return allowed.brings_tools
        parts = _peek_parts(frame).item.content
    except DECODE_ERRORS:
        return False
    kinds = [kind.__struct_config__.tag for kind in PARTS.get(str(item.role), ())]
    return item.type == "message" and item.role in allowed.roles and all(part.type in kinds for part in parts)


def _no_json(problem: str) -> Rejection:
    return Rejection("invalid_json", f"The frame is not a JSON object: {problem}.")


def broken_refusal(broken: Broken, event_id: str | None) -> Rejection:
    """In the words of the walk."""
    return Rejection(broken.rule, f"{broken.message}.", event_id)


def readable(event_id: object) -> str | None:
    """The client's event id, for the error that comes of it; none of those that no event can have."""
    return event_id[:MAX_EVENT_ID_CHARS] if isinstance(event_id, str) and "\x00" not in event_id else None
