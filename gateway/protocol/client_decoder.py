"""Decodes one frame of a client: checks it by type and by the client's policy, and writes it anew."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.protocol.client_events import (
    OUR_MARK,
    OURS,
    SERVER_ITEMS,
    AppendAudio,
    CreateItem,
    CreateResponse,
    Known,
    UpdateSession,
)
from gateway.protocol.decode_errors import (
    DECODE_ERRORS,
    MAX_PLAIN_CHARS,
    holds_nul,
    messages_only,
    out_of_bounds,
    readable,
    refused,
    too_large,
)
from gateway.protocol.field_filter import (
    MAX_LEFT_OUT,
    FilteredFields,
    kept,
    left_out,
    of_response,
    of_session,
    says_nothing,
    without_nulls,
)
from gateway.protocol.item_fields import PARTS, ClientMessage, FunctionCallOutput, InputAudio
from gateway.protocol.rejections import MAX_PROBLEM_CHARS, Rejection
from gateway.protocol.session_fields import MAX_PARAMETERS_BYTES, ResponseFields, SessionFields
from ringback.agents.client_policy import BROWSER, ClientPolicy

NO_FUNCTIONS = ("mcp", "web_search", "file_search")
"""Types of the tools that a provider's server runs: OpenAI's, and xAI's."""
APPEND = "input_audio_buffer.append"
HEAD_CHARS = 128
"""The type stands near the front of a frame; where it does not, the frame takes the longer way."""
PLAIN_HEAD = f'{{"type":"{APPEND}","audio":"'
"""How audio begins that its client has not named."""
PLAIN_CHARS = len(PLAIN_HEAD) + len('"}')
PLACING = "assistant"
"""A client that may create messages of this role may also place an item (`previous_item_id`)."""

_decode = msgspec.json.Decoder(Known).decode
_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


class _OfSession(Struct):
    session: SessionFields


class _OfResponse(Struct):
    response: ResponseFields


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """Frame that passed, written anew as JSON data.

    Args:
        event: the event to send on.
        is_empty_update: True for a session.update without any field that the client may set.
        left_out: dotted names of fields that the client may not set, of a session, a response (`response.…`) or an
            item (`item.…`); a few at most.
        audio_bytes: how much audio it carries, decoded.
    """

    event: dict[str, Any]
    is_empty_update: bool = False
    left_out: tuple[str, ...] = ()
    audio_bytes: int = field(default=0, compare=False)


class FrameRefused(GatewayError):
    """Carries the reason of a rejection out of a nested part."""

    def __init__(self, rule: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.param = param


def read_audio(frame: str, allowed: Collection[str] = BROWSER.events) -> AppendAudio | None:
    """Decode a frame of the client's audio, by the rules of `read`. None: it is another frame, or `read` refuses it.

    Args:
        frame: as it came.
        allowed: the events that the client's policy allows.
    """
    may_pass = APPEND in frame[:HEAD_CHARS] and APPEND in allowed and len(frame) <= MAX_PLAIN_CHARS
    if not may_pass:
        return None
    try:
        known = _decode(frame)
    except DECODE_ERRORS:
        return None
    if type(known) is not AppendAudio or ("\\" in frame and holds_nul(frame)):
        return None
    return None if isinstance(known.event_id, str) and known.event_id.startswith(OURS) else known


def write_audio(append: AppendAudio, frame: str) -> str:
    """Return audio that the gateway has named as it goes to the model: written anew from what `read_audio` has decoded.

    A frame that begins so and is no longer has room for its type and this audio alone, without padding. It is what
    would be written, but for the name. Most clients send no other.
    """
    if len(frame) == PLAIN_CHARS + len(append.audio) // 3 * 4 and frame.startswith(PLAIN_HEAD):
        return f'{frame[:-1]},"event_id":"{append.event_id}"}}'
    return _encode(append).decode()


def read(frame: str | bytes, allowed: ClientPolicy = BROWSER) -> ClientFrame | Rejection:
    """Decode one frame of a client; return what may go on, or why it may not."""
    if isinstance(frame, bytes):
        try:
            frame = frame.decode()
        except UnicodeDecodeError:
            return Rejection("invalid_json", "The frame is not UTF-8: send JSON as UTF-8 text.")
    if len(frame) > MAX_PLAIN_CHARS and (refusal := too_large(frame)) is not None:
        return refusal
    try:
        known = _decode(frame)
    except DECODE_ERRORS as problem:
        return refused(frame, str(problem)[:MAX_PROBLEM_CHARS], allowed)
    # Of a frame with audio the decoder builds the two fields that it knows, and passes over the others.
    if not isinstance(known, AppendAudio) and (broken := out_of_bounds(frame, allowed)) is not None:
        return replace(broken, event_id=readable(known.event_id))
    if holds_nul(frame):
        sentence = "A text holds the character NUL, which no database keeps: leave it out."
        return Rejection("invalid_value", sentence, readable(known.event_id))
    try:
        return _checked(known, allowed)
    except FrameRefused as not_taken:
        return Rejection(not_taken.rule, not_taken.message, readable(known.event_id), not_taken.param)


def _checked(known: Known, allowed: ClientPolicy) -> ClientFrame:
    kind: str = known.__struct_config__.tag  # type: ignore[assignment]
    if kind not in allowed.events:
        raise FrameRefused(
            "forbidden_event", f"A client may not send {kind}: the agent's policy for it does not allow it."
        )
    if isinstance(known.event_id, str) and known.event_id.startswith(OURS):
        raise FrameRefused("invalid_value", f"event_id: choose one that does not begin with {OURS!r}.", "event_id")
    if isinstance(known, AppendAudio):
        named = {"event_id": known.event_id} if isinstance(known.event_id, str) else {}
        event = {"type": kind, **named, "audio": msgspec.to_builtins(known.audio)}
        return ClientFrame(event, audio_bytes=len(known.audio))
    if isinstance(known, UpdateSession):
        return _update(known, allowed)
    if isinstance(known, CreateResponse):
        return _create(known, allowed)
    if isinstance(known, CreateItem):
        return _item(known, allowed)
    return ClientFrame(without_nulls(msgspec.to_builtins(known)))


def _item(known: CreateItem, allowed: ClientPolicy) -> ClientFrame:
    item = known.item
    is_theirs = allowed.brings_tools if isinstance(item, FunctionCallOutput) else item.role in allowed.roles
    if not is_theirs:
        raise FrameRefused("forbidden_event", messages_only(allowed), "item")
    if isinstance(item.id, str) and item.id.startswith(SERVER_ITEMS):
        raise FrameRefused(
            "invalid_value", f"item.id: choose one that does not begin with {SERVER_ITEMS!r}.", "item.id"
        )
    event = without_nulls(msgspec.to_builtins(known))
    names = () if PLACING in allowed.roles or event.pop("previous_item_id", None) is None else ("previous_item_id",)
    if isinstance(item, FunctionCallOutput):
        return ClientFrame(event, left_out=names)
    _check_parts(item)
    event["item"]["content"] = [without_nulls(part) for part in event["item"]["content"]]
    return ClientFrame(event, left_out=names, audio_bytes=_audio_of(item))


def _check_parts(message: ClientMessage) -> None:
    """Raise FrameRefused if the message has a part that its role does not have."""
    for index, part in enumerate(message.content):
        if not isinstance(part, PARTS[message.role]):
            kinds = " or ".join(str(kind.__struct_config__.tag) for kind in PARTS[message.role])
            sentence = f"item.content[{index}]: a message of the role {message.role} has parts of the type {kinds}."
            raise FrameRefused("invalid_value", sentence, f"item.content[{index}].type")


def _audio_of(message: ClientMessage) -> int:
    return sum(len(part.audio) for part in message.content if isinstance(part, InputAudio))


def _update(known: UpdateSession, allowed: ClientPolicy) -> ClientFrame:
    given = _object(known.session, "session")
    if given.get("type") not in (None, "realtime"):
        raise FrameRefused("invalid_value", "session.type: only 'realtime' sessions are served here.", "session.type")
    functions, others = _functions(given) if allowed.brings_tools else (given, ())
    session = _fields(functions, of_session(allowed), _OfSession, "session")
    _check_tools(session)
    taken = {**session, "type": "realtime"}
    names = (*others, *left_out(given, taken))[:MAX_LEFT_OUT]
    return ClientFrame(_event(known, session=taken), is_empty_update=says_nothing(session), left_out=names)


def _functions(session: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the session with its functions alone, and the names of its other tools, which a client may not bring."""
    tools = session.get("tools")
    if not isinstance(tools, list):
        return session, ()
    others = {at: tool for at, tool in enumerate(tools) if isinstance(tool, dict) and tool.get("type") in NO_FUNCTIONS}
    functions = [tool for at, tool in enumerate(tools) if at not in others]
    return {**session, "tools": functions}, tuple(f"tools[{at}] ({tool['type']})" for at, tool in others.items())


def _create(known: CreateResponse, allowed: ClientPolicy) -> ClientFrame:
    if bytes(known.response) == b"null":
        return ClientFrame(_event(known))
    given = _object(known.response, "response")
    response = _fields(given, of_response(allowed), _OfResponse, "response")
    if response.get("conversation") == "none" and "input" not in allowed.response:
        sentence = "response.conversation: only 'auto'; the agent's policy allows no response out of band."
        raise FrameRefused("invalid_value", sentence, "response.conversation")
    if OUR_MARK in response.get("metadata", {}):
        sentence = f"response.metadata: choose a key other than {OUR_MARK!r}."
        raise FrameRefused("invalid_value", sentence, "response.metadata")
    named = left_out(given, response, "response.")
    return ClientFrame(_event(known, response=response), left_out=named, audio_bytes=_audio_in(response))


def _audio_in(response: dict[str, Any]) -> int:
    """Return the bytes of audio in a response's input, decoded."""
    parts = (part for item in response.get("input", ()) for part in item.get("content", ()))
    return sum(len(part.get("audio", "")) * 3 // 4 for part in parts)


def _event(known: UpdateSession | CreateResponse, **parts: Any) -> dict[str, Any]:
    named = {"event_id": known.event_id} if isinstance(known.event_id, str) else {}
    return {"type": known.__struct_config__.tag, **named, **parts}


def _object(raw: msgspec.Raw, name: str) -> dict[str, Any]:
    try:
        value = _decode_any(raw)
    except DECODE_ERRORS as problem:
        raise FrameRefused("invalid_value", f"{name}: {str(problem)[:MAX_PROBLEM_CHARS]}.", name) from None
    if not isinstance(value, dict):
        raise FrameRefused("invalid_value", f"Expected `object` - at `$.{name}`.", name)
    return value


def _fields(
    given: dict[str, Any], opened: FilteredFields, whole: type[_OfSession] | type[_OfResponse], name: str
) -> dict[str, Any]:
    """Return those given fields that are open, checked by type."""
    try:
        checked = msgspec.convert({name: kept(given, opened)}, whole)
    except DECODE_ERRORS as problem:
        raise FrameRefused("invalid_value", f"{str(problem)[:MAX_PROBLEM_CHARS]}.", name) from None
    fields: dict[str, Any] = without_nulls(msgspec.to_builtins(getattr(checked, name)))
    return fields


def _check_tools(session: dict[str, Any]) -> None:
    tools = session.get("tools")
    if tools is None:
        return
    session["tools"] = tools = [{name: value for name, value in tool.items() if value is not None} for tool in tools]
    names = [tool["name"] for tool in tools]
    for index, tool in enumerate(tools):
        where = f"session.tools[{index}]"
        if tool["name"] in names[:index]:
            raise FrameRefused("invalid_value", f"{where}: give each tool a name of its own.", f"{where}.name")
        parameters = tool.get("parameters", {})
        if parameters.get("type", "object") != "object":
            raise FrameRefused(
                "invalid_value", f"{where}.parameters: its type must be 'object'.", f"{where}.parameters"
            )
        if len(msgspec.json.encode(parameters)) > MAX_PARAMETERS_BYTES:
            sentence = f"{where}.parameters: at most {MAX_PARAMETERS_BYTES:,} bytes of JSON."
            raise FrameRefused("too_large", sentence, f"{where}.parameters")
