"""The Realtime API's server events, translated into what they mean to a conversation (`gateway.upstream.events`).

Each frame is decoded once. Its shape is checked as far as the gateway looks at it, and the checked values are what the
conversation gets. An event of an unknown type passes as `OtherEvent`. An event whose parts do not have the protocol's
shape is dropped, so that neither the conversation nor a client's SDK trips over it. Absent fields are no fault: servers
leave out different ones. If a name stands twice in an object, the last one counts: the text is read only here. How long
an event may be, the connection says (`gateway.upstream.connection`). (Realtime API, server events.)

This module alone knows the names of these events. It stands here and not in `gateway.protocol`, which is the client's
side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from gateway.upstream import events
from gateway.upstream.events import (
    Id,
    Item,
    Json,
    MalformedEvent,
    ModelEvent,
    Moment,
    PassingDetail,
    PassingText,
    Response,
    UpstreamError,
)

MAX_PROBLEM_CHARS = 200
"""Of a decoder's complaint, which may quote what it complains of."""

MAX_DEPTH = 64
"""A session with tools is a dozen deep; what writes the event anew has to climb as far."""

AUDIO_DELTA = '"response.output_audio.delta"'
TEXT_DELTAS = ("response.output_audio_transcript.delta", "response.output_text.delta")
USER_DELTA = "conversation.item.input_audio_transcription.delta"
DELTA = ".delta"
"""In the type of each of these: one look tells it of most other events."""
DETAILS = frozenset(
    f"response.{name}"
    for name in (
        *("content_part.added", "content_part.done"),
        *("function_call_arguments.delta", "function_call_arguments.done"),
        *("output_text.done", "output_audio.done", "output_audio_transcript.done"),
    )
)
"""Types of events that tell more of an item at work: no decision hangs on them, and the finished item has it all."""
HEAD_CHARS = 64
"""The type stands near the front of an event; where it does not, the event takes the longer way."""
MAX_TEXT_CHARS = 4_096
"""Of a piece of text that passes undecoded: a piece is some words."""
PLACES_CHARS = 600
"""The item's id and the beginning of the audio stand within so many characters."""

TYPES_WITHOUT_CODE = frozenset({"invalid_request_error", "server_error", "error"})
"""Types of errors that say no more than that there is one."""

_find_item = re.compile(r'"item_id":\s*"([^"]{1,64})"').search
_find_detail = re.compile("|".join(re.escape(name) for name in sorted(DETAILS))).search
_find_delta = re.compile(r'"delta":\s*"').search


# — the shape: only what the gateway looks at —


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


class ServerEvent(Struct):
    type: Id
    item_id: Id | None = None
    previous_item_id: Id | None = None
    response_id: Id | None = None
    audio_end_ms: Moment | None = None
    item: Item | None = None
    response: Response | None = None
    session: _Session | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(dict).decode
_decode_text = msgspec.json.Decoder(PassingText).decode
_decode_detail = msgspec.json.Decoder(PassingDetail).decode
shape_of = partial(msgspec.convert, type=ServerEvent)


def read(frame: str) -> ModelEvent:
    """Return what one frame means; raise MalformedEvent if it is no event."""
    try:
        raw: Json = _decode(frame)
        if frame.count("{") + frame.count("[") > MAX_DEPTH and _is_too_deep(raw):
            raise MalformedEvent(f"nested deeper than {MAX_DEPTH} levels")
        if "\\u0000" in frame:
            raw = _without_nul(raw)
        shape = shape_of(raw)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as problem:
        raise MalformedEvent(str(problem)[:MAX_PROBLEM_CHARS]) from None
    return _TRANSLATIONS.get(shape.type, _other)(raw, shape)


def passing_audio(frame: str) -> tuple[str, int] | None:
    """Return the item of an audio delta, and how many characters of base64 it holds, without decoding the frame.

    None where the frame is no such delta, or is written so that it has to be decoded first.
    """
    if AUDIO_DELTA not in frame[:HEAD_CHARS]:
        return None
    item, delta = _find_item(frame, 0, PLACES_CHARS), _find_delta(frame, 0, PLACES_CHARS)
    if item is None or delta is None:
        return None
    start = delta.end()
    return item[1], frame.find('"', start) - start


def audio_of(frame: str) -> str:
    """Return the base64 of an audio delta that `passing_audio` has recognised."""
    delta = _find_delta(frame, 0, PLACES_CHARS)
    start = delta.end() if delta is not None else len(frame)
    return frame[start : frame.find('"', start)]


def passing_text(frame: str) -> PassingText | None:
    """Return a delta of text or of a transcript, without decoding more of the frame than the conversation notes.

    The model's names its response, the user's names none.

    None where the frame is no such delta, or has anything beside its usual fields.
    """
    head = frame[:HEAD_CHARS]
    if DELTA not in head or not (TEXT_DELTAS[0] in head or TEXT_DELTAS[1] in head or USER_DELTA in head):
        return None
    if len(frame) > MAX_TEXT_CHARS or "\\u0000" in frame:
        return None
    try:
        text = _decode_text(frame)
    except (msgspec.MsgspecError, ValueError):
        return None
    is_known = text.type in TEXT_DELTAS if text.response_id is not None else text.type == USER_DELTA
    return text if is_known else None


def passing_detail(frame: str) -> PassingDetail | None:
    """Return a detail of an item at work, without decoding its frame to more than the client's view looks at.

    None where the frame is no such event, or has anything beside its usual fields.
    """
    if _find_detail(frame, 0, HEAD_CHARS) is None:
        return None
    if len(frame) > MAX_TEXT_CHARS or "\\u0000" in frame or frame.count("{") + frame.count("[") > MAX_DEPTH:
        return None
    try:
        detail = _decode_detail(frame)
    except (msgspec.MsgspecError, ValueError):
        return None
    return detail if detail.type in DETAILS else None


# — the meaning: one row for each type that a decision hangs on —


def _other(raw: Json, shape: ServerEvent) -> ModelEvent:
    return events.OtherEvent(raw=raw, item_id=shape.item_id, response_id=shape.response_id, item=shape.item)


def _plain(event: Callable[..., ModelEvent]) -> Callable[[Json, ServerEvent], ModelEvent]:
    return lambda raw, shape: event(**_head(raw, shape))


def _playout_ended(*, is_whole: bool) -> Callable[[Json, ServerEvent], ModelEvent]:
    return lambda raw, shape: events.PlayoutEnded(**_head(raw, shape), is_whole=is_whole)


def _of_session(event: Callable[..., ModelEvent]) -> Callable[[Json, ServerEvent], ModelEvent]:
    return lambda raw, shape: event(**_head(raw, shape), session=raw.get("session") or {})


def _of_item(event: Callable[..., ModelEvent]) -> Callable[[Json, ServerEvent], ModelEvent]:
    return lambda raw, shape: event(
        raw=raw, item_id=shape.item_id, response_id=shape.response_id, item=_required(shape, "item")
    )


def _of_response(event: Callable[..., ModelEvent]) -> Callable[[Json, ServerEvent], ModelEvent]:
    return lambda raw, shape: event(**_head(raw, shape), response=_required(shape, "response"))


def _text(raw: Json, shape: ServerEvent) -> ModelEvent:
    delta = raw.get("delta")
    return events.ModelText(
        raw=raw,
        item_id=shape.item_id,
        response_id=shape.response_id,
        item=shape.item,
        delta=delta if isinstance(delta, str) else "",
    )


def _audio(raw: Json, shape: ServerEvent) -> ModelEvent:
    delta = raw.get("delta")
    return events.ModelAudio(**_head(raw, shape), chars=len(delta) if isinstance(delta, str) else 0)


def _transcribed(raw: Json, shape: ServerEvent) -> ModelEvent:
    transcript = raw.get("transcript")
    return events.ItemTranscribed(**_head(raw, shape), transcript=transcript if isinstance(transcript, str) else "")


def _truncated(raw: Json, shape: ServerEvent) -> ModelEvent:
    return events.ItemTruncated(**_head(raw, shape), audio_end_ms=shape.audio_end_ms)


def _rate_limits(raw: Json, shape: ServerEvent) -> ModelEvent:
    return events.RateLimitsUpdated(**_head(raw, shape), limits=raw.get("rate_limits"))


def _error(raw: Json, shape: ServerEvent) -> ModelEvent:
    _required(shape, "error")
    said = raw["error"]
    parts = {name: said.get(name) for name in ("type", "message", "param", "event_id")}
    return events.ErrorReported(**_head(raw, shape), error=UpstreamError(code=code_of(said), **parts))


def code_of(error: Json) -> str | None:
    """Return the code of an error, as text: some servers write a number, or name the kind in `type` alone."""
    code, kind = error.get("code"), error.get("type")
    if code is not None and code != "":
        return str(code)
    return kind if isinstance(kind, str) and kind not in TYPES_WITHOUT_CODE else None


def _required(shape: ServerEvent, part: str) -> Any:
    """Return a part that the event has no meaning without."""
    found = getattr(shape, part)
    if found is None:
        raise MalformedEvent(f"{shape.type} without {part}")
    return found


def _head(raw: Json, shape: ServerEvent) -> dict[str, Any]:
    return {"raw": raw, "item_id": shape.item_id, "response_id": shape.response_id, "item": shape.item}


_TRANSLATIONS: dict[str, Callable[[Json, ServerEvent], ModelEvent]] = {
    "session.created": _of_session(events.SessionCreated),
    "session.updated": _of_session(events.SessionUpdated),
    "input_audio_buffer.speech_started": _plain(events.UserStartedSpeaking),
    "input_audio_buffer.speech_stopped": _plain(events.UserStoppedSpeaking),
    "input_audio_buffer.committed": _plain(events.UserTurnCommitted),
    "input_audio_buffer.timeout_triggered": _plain(events.UserStayedSilent),
    "input_audio_buffer.cleared": _plain(events.UserAudioCleared),
    "conversation.item.added": _of_item(events.ItemShown),
    "conversation.item.created": _of_item(events.ItemShown),
    "conversation.item.done": _of_item(events.ItemShown),
    "conversation.item.input_audio_transcription.completed": _transcribed,
    "conversation.item.truncated": _truncated,
    "conversation.item.deleted": _plain(events.ItemDeleted),
    "response.created": _of_response(events.ResponseStarted),
    "response.output_item.added": _of_item(events.OutputItemStarted),
    "response.output_item.done": _of_item(events.OutputItemFinished),
    **dict.fromkeys(TEXT_DELTAS, _text),
    "response.output_audio.delta": _audio,
    "response.audio.delta": _audio,  # Its name in the beta.
    "response.done": _of_response(events.ResponseFinished),
    "output_audio_buffer.started": _plain(events.PlayoutStarted),
    "output_audio_buffer.stopped": _playout_ended(is_whole=True),
    "output_audio_buffer.cleared": _playout_ended(is_whole=False),
    "rate_limits.updated": _rate_limits,
    "error": _error,
}
"""By the type of the event."""


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
    """Replace each NUL: Postgres keeps none in any column."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    return value
