"""The bounds of a client's frame, and the error for a frame that breaks one or that the decoder refuses.

JSON that two readers understand differently needs no rule here: the gateway encodes what goes on from the decoded
value, so there is one reader (docs/decisions/0007, 0046).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Struct

from gateway.protocol.client_events import MAX_EVENT_ID_CHARS, WITH_MEDIA
from gateway.protocol.rejections import FORBIDDEN, Rejection
from ringback.agents.client_policy import ClientPolicy

MAX_PLAIN_CHARS = 256 * 1024
"""Of a frame that carries neither audio nor pictures: four times the longest text."""
MAX_MEDIA_CHARS = 20 * 1024 * 1024 + MAX_PLAIN_CHARS
"""Of one that does: 15 MiB in base64, the Realtime API's limit. The WebSocket has a tighter one, as a setting."""
MAX_DEPTH = 32
"""A session.update is five deep, and a tool's schema seldom more than ten. The functions that filter fields recurse."""
MAX_PLAIN_VALUES = 500
"""Names and list entries in a frame: the longest event of a client that brings no tools has about a hundred."""
MAX_VALUES = 10_000
"""The same for clients that bring tools: 64 schemas."""
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)

_MARK = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([{\[])|([}\]])|(,)', re.DOTALL)
"""A text to its end, which is passed over, or a mark outside of texts."""
_OPENS, _CLOSES, _NEXT = range(1, 4)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*+\\u0000")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class _Head(Struct):
    """What a long frame says first: texts alone, so that a list in their place is not built."""

    type: str = ""
    event_id: str | None = None


class _Item(Struct):
    type: Any = None
    role: Any = None


class _Peek(Struct):
    type: Any = None
    event_id: Any = None


class _PeekItem(Struct):
    item: _Item


_head = msgspec.json.Decoder(_Head).decode
_peek = msgspec.json.Decoder(_Peek).decode
_peek_item = msgspec.json.Decoder(_PeekItem).decode


def messages_only(allowed: ClientPolicy) -> str:
    """Return the sentence for a client that creates an item of another kind."""
    roles = " and ".join(allowed.roles)
    return f"A client may create messages of the role {roles} only."


def too_large(frame: str) -> Rejection | None:
    """Return the rejection of a frame that is longer than a frame of its type may be."""
    try:
        head = _head(frame)
    except DECODE_ERRORS:
        head = _Head()
    most = MAX_MEDIA_CHARS if head.type in WITH_MEDIA else MAX_PLAIN_CHARS
    if len(frame) <= most:
        return None
    sentence = f"The frame has {len(frame):,} characters, and may have {most:,}: send less at once."
    return Rejection("too_large", sentence, readable(head.event_id))


def out_of_bounds(frame: str, allowed: ClientPolicy) -> Rejection | None:
    """Return the rejection of a frame with too many levels or values, before anything is built of them.

    Counting all marks is cheap, and counts too many: those in texts as well. Only a frame above the count is walked.
    """
    most = MAX_VALUES if allowed.brings_tools else MAX_PLAIN_VALUES
    opened = frame.count("{") + frame.count("[")
    if opened <= MAX_DEPTH and opened + frame.count(",") <= most:
        return None
    depth = values = 0
    for mark in _MARK.finditer(frame):
        kind = mark.lastindex
        if kind is None:
            continue
        depth += (kind == _OPENS) - (kind == _CLOSES)
        values += kind != _CLOSES
        if values > most:
            return Rejection("too_many_keys", f"The frame holds more than {most:,} values: send fewer at once.")
        if depth > MAX_DEPTH:
            return Rejection("too_deep", f"The frame is nested deeper than {MAX_DEPTH} levels: send a flatter one.")
    return None


def holds_nul(frame: str) -> bool:
    """Return whether a text of the frame holds the character NUL, which JSON can only write as an escape."""
    return "\\" in frame and "\\u0000" in frame and _NUL.search(frame) is not None


def refused(frame: str, problem: str, allowed: ClientPolicy) -> Rejection:
    """Return the rejection of a frame that the decoder refused; `problem` is the decoder's message."""
    broken = out_of_bounds(frame, allowed)
    try:
        peeked = _peek(frame)
    except DECODE_ERRORS:
        return broken or _no_json(frame, problem)
    event_id = readable(peeked.event_id)
    if broken is not None:
        return replace(broken, event_id=event_id)
    if peeked.type is None:
        return Rejection("invalid_event", "The 'type' field is missing.", event_id)
    kind = str(peeked.type)[:64]
    if kind in FORBIDDEN:
        return Rejection("forbidden_event", f"A client may not send {kind}: {FORBIDDEN[kind]}.", event_id)
    if kind == "conversation.item.create" and not _is_own_item(frame, allowed):
        return Rejection("forbidden_event", f"{messages_only(allowed)[:-1]}: {problem}.", event_id)
    return Rejection("invalid_value", f"{kind}: {problem}.", event_id)


def _is_own_item(frame: str, allowed: ClientPolicy) -> bool:
    """Return whether the client may create items of this kind, apart from what else is wrong with the item."""
    try:
        item = _peek_item(frame).item
    except DECODE_ERRORS:
        return False
    if item.type == "function_call_output":
        return allowed.brings_tools
    return item.type == "message" and item.role in allowed.roles


def _no_json(frame: str, problem: str) -> Rejection:
    if frame.startswith("\ufeff"):
        problem = "it begins with a byte order mark; leave it out"
    elif _HALF.search(frame):
        problem += "; if a text ends in the middle of a surrogate pair, send whole characters"
    return Rejection("invalid_json", f"The frame is not a JSON object: {problem}.")


def readable(event_id: object) -> str | None:
    """Return the client's event id for the error about its frame; None for an id that no event can have."""
    return event_id[:MAX_EVENT_ID_CHARS] if isinstance(event_id, str) and "\x00" not in event_id else None
