"""What a client may say. Each frame is decoded once, by type, and what goes on is written anew from the value.

The tagged union below is the allow-list: an event that is not in it, and a field that no struct names, never reach
the model. That a client may speak and listen, but not set instructions or tools or answer for a function, follows
from what the structs leave out. (Realtime API, client events.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MAX_EVENT_ID_CHARS = 512
"""The Realtime API's own limit."""
MAX_PROBLEM_CHARS = 300
"""A decoder may quote what it refuses, and a client could send two megabytes of it."""

EventId = Annotated[str, Meta(max_length=MAX_EVENT_ID_CHARS)]
ItemId = Annotated[str, Meta(min_length=1, max_length=32)]  # The Realtime API refuses longer ones.
Text = Annotated[str, Meta(max_length=65_536)]  # Far more than a person types, far less than a context window.
Audio = Annotated[bytes, Meta(max_length=15 * 1024 * 1024)]  # The Realtime API's own limit for one event.
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]  # A session lasts an hour at most.
Modalities = Annotated[list[Literal["audio", "text"]], Meta(min_length=1, max_length=2)]
Metadata = dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]]

T = TypeVar("T")
Open: TypeAlias = T | UnsetType | None
"""What a client may leave open: by leaving it out, or, as many serializers do, by null."""
NULL_MEANS_OFF = frozenset({"turn_detection", "noise_reduction", "transcription", "idle_timeout_ms"})
"""Where null is a value of its own; everywhere else it goes no further."""

OURS = "rb_"
"""How the event_id of everything we send on our own account begins; a client's may not."""
OUR_MARK = "ringback"
"""The key of a response's metadata that is ours."""
SERVER_ITEMS = "fco_"


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """A client event; `event_id` comes back in the error that it may cause."""

    event_id: Open[EventId] = UNSET


class AppendAudio(Frame, tag="input_audio_buffer.append"):
    audio: Audio


class CommitAudio(Frame, tag="input_audio_buffer.commit"):
    pass


class ClearAudio(Frame, tag="input_audio_buffer.clear"):
    pass


class InputText(Struct, tag="input_text", tag_field="type"):
    text: Text


class InputAudio(Struct, tag="input_audio", tag_field="type", omit_defaults=True):
    audio: Audio
    transcript: Open[Text] = UNSET


class InputImage(Struct, tag="input_image", tag_field="type", omit_defaults=True):
    image_url: Annotated[str, Meta(pattern=r"^data:image/(png|jpeg);base64,")]
    detail: Open[Literal["auto", "low", "high"]] = UNSET


class UserMessage(Struct, tag="message", tag_field="type", omit_defaults=True):
    content: Annotated[list[InputText | InputAudio | InputImage], Meta(min_length=1, max_length=32)]
    role: Literal["user"]
    id: Open[ItemId] = UNSET


class CreateItem(Frame, tag="conversation.item.create"):
    item: UserMessage


class TruncateItem(Frame, tag="conversation.item.truncate"):
    item_id: ItemId
    audio_end_ms: Milliseconds
    content_index: Annotated[int, Meta(ge=0, le=31)]


class ResponseFields(Struct, omit_defaults=True):
    conversation: Open[Literal["auto"]] = UNSET
    output_modalities: Open[Modalities] = UNSET
    metadata: Open[Metadata] = UNSET


class CreateResponse(Frame, tag="response.create"):
    response: Open[ResponseFields] = UNSET


class CancelResponse(Frame, tag="response.cancel"):
    response_id: Open[Annotated[str, Meta(max_length=64)]] = UNSET


class Format(Struct, omit_defaults=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Open[Literal[24000]] = UNSET


class TurnDetection(Struct, omit_defaults=True):
    type: Literal["server_vad", "semantic_vad"]
    threshold: Open[Annotated[float, Meta(ge=0, le=1)]] = UNSET
    prefix_padding_ms: Open[Milliseconds] = UNSET
    silence_duration_ms: Open[Milliseconds] = UNSET
    idle_timeout_ms: Open[Milliseconds] = UNSET
    eagerness: Open[Literal["low", "medium", "high", "auto"]] = UNSET
    create_response: Open[bool] = UNSET
    interrupt_response: Open[bool] = UNSET


class NoiseReduction(Struct):
    type: Literal["near_field", "far_field"]


class Transcription(Struct, omit_defaults=True):
    model: Annotated[str, Meta(max_length=64)]
    language: Open[Annotated[str, Meta(max_length=16)]] = UNSET


class AudioIn(Struct, omit_defaults=True):
    format: Open[Format] = UNSET
    transcription: Open[Transcription] = UNSET
    noise_reduction: Open[NoiseReduction] = UNSET
    turn_detection: Open[TurnDetection] = UNSET


class AudioOut(Struct, omit_defaults=True):
    format: Open[Format] = UNSET
    speed: Open[Annotated[float, Meta(ge=0.25, le=1.5)]] = UNSET


class AudioFields(Struct, omit_defaults=True):
    input: Open[AudioIn] = UNSET
    output: Open[AudioOut] = UNSET


class SessionFields(Struct, omit_defaults=True):
    """How the client hears and is heard; who the model is stays with the server, whatever else is sent."""

    output_modalities: Open[Modalities] = UNSET
    audio: Open[AudioFields] = UNSET


class UpdateSession(Frame, tag="session.update"):
    session: SessionFields


class AnswerApproval(Frame, tag="ringback.approval.respond"):
    """Not of the Realtime API: the answer to a `ringback.approval.requested`."""

    job_id: UUID
    approved: bool


Known = (
    AppendAudio
    | CommitAudio
    | ClearAudio
    | CreateItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | UpdateSession
    | AnswerApproval
)

FORBIDDEN = {
    "conversation.item.delete": "items are kept by the server",
    "conversation.item.retrieve": "items may hold what functions returned",
    "output_audio_buffer.clear": "this is a WebSocket: stop playing, and send conversation.item.truncate",
}

_decoder = msgspec.json.Decoder(Known)


class _Peek(Struct):
    type: Any = None
    event_id: Any = None


_peek = msgspec.json.Decoder(_Peek)


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A frame that passed, written anew as JSON data."""

    event: dict[str, Any]
    is_empty_update: bool = False
    """A session.update of which nothing is the client's to say."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a frame did not pass; `as_event` is what the client is told."""

    code: str
    message: str
    event_id: str | None = None

    def as_event(self, event_id: str) -> dict[str, Any]:
        """The `error` server event (Realtime API)."""
        error = {
            "type": "invalid_request_error",
            "code": self.code,
            "message": self.message,
            "param": None,
            "event_id": self.event_id,
        }
        return {"type": "error", "event_id": event_id, "error": error}


def read(frame: str | bytes) -> ClientFrame | Refusal:
    """Decode one frame of a client, whole: what it may say, or why it may not."""
    try:
        known = _decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        return _refuse(frame, str(problem)[:MAX_PROBLEM_CHARS])
    event: dict[str, Any] = _without_nulls(msgspec.to_builtins(known))
    event_id = event.get("event_id")
    if event_id is not None and event_id.startswith(OURS):
        return Refusal("invalid_value", f"event_id: choose one that does not begin with {OURS!r}.", event_id)
    if isinstance(known, CreateItem) and event["item"].get("id", "").startswith(SERVER_ITEMS):
        return Refusal("invalid_value", f"item.id: choose one that does not begin with {SERVER_ITEMS!r}.", event_id)
    if isinstance(known, CreateResponse) and OUR_MARK in event.get("response", {}).get("metadata", {}):
        return Refusal("invalid_value", f"response.metadata: choose a key other than {OUR_MARK!r}.", event_id)
    if isinstance(known, UpdateSession):
        empty = not event["session"]
        event["session"]["type"] = "realtime"
        return ClientFrame(event, is_empty_update=empty)
    return ClientFrame(event)


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None or key in NULL_MEANS_OFF}


def _refuse(frame: str | bytes, problem: str) -> Refusal:
    try:
        peeked = _peek.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Refusal("invalid_json", f"The frame is not a JSON object: {problem}.")
    event_id = peeked.event_id[:MAX_EVENT_ID_CHARS] if isinstance(peeked.event_id, str) else None
    if peeked.type is None:
        return Refusal("invalid_event", "The 'type' field is missing.", event_id)
    kind = str(peeked.type)[:64]
    if kind in FORBIDDEN:
        return Refusal("forbidden_event", f"A client may not send {kind}: {FORBIDDEN[kind]}.", event_id)
    if kind == "conversation.item.create":
        sentence = f"A client may create messages of the role user only: {problem}."
        return Refusal("forbidden_event", sentence, event_id)
    return Refusal("invalid_value", f"{kind}: {problem}.", event_id)
