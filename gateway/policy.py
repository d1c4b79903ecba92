"""What a client may say. Each frame is decoded once, by type, and what goes on is written anew from the value.

The tagged union below is the allow-list: an event that is not in it, and a field that no struct names, never reach
the model. That a client may speak and listen, but not set instructions or tools or answer for a function, follows
from what the structs leave out. (Realtime API, client events.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

EventId = Annotated[str, Meta(max_length=512)]
ItemId = Annotated[str, Meta(min_length=1, max_length=32)]  # The Realtime API refuses longer ones.
Text = Annotated[str, Meta(max_length=65_536)]  # Far more than a person types, far less than a context window.
Audio = Annotated[bytes, Meta(max_length=15 * 1024 * 1024)]  # The Realtime API's own limit for one event.
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]  # A session lasts an hour at most.
Metadata = dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]]

OURS = "rb_"
SERVER_ITEMS = "fco_"


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """A client event; `event_id` comes back in the error that it may cause."""

    event_id: EventId | UnsetType = UNSET


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
    transcript: Text | UnsetType = UNSET


class InputImage(Struct, tag="input_image", tag_field="type", omit_defaults=True):
    image_url: Annotated[str, Meta(pattern=r"^data:image/(png|jpeg);base64,")]
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class UserMessage(Struct, tag="message", tag_field="type", omit_defaults=True):
    content: Annotated[list[InputText | InputAudio | InputImage], Meta(min_length=1, max_length=32)]
    role: Literal["user"]
    id: ItemId | UnsetType = UNSET


class CreateItem(Frame, tag="conversation.item.create"):
    item: UserMessage


class TruncateItem(Frame, tag="conversation.item.truncate"):
    item_id: ItemId
    audio_end_ms: Milliseconds
    content_index: Annotated[int, Meta(ge=0, le=31)]


class ResponseFields(Struct, omit_defaults=True):
    conversation: Literal["auto"] | UnsetType = UNSET
    output_modalities: list[Literal["audio", "text"]] | UnsetType = UNSET
    metadata: Metadata | UnsetType | None = UNSET


class CreateResponse(Frame, tag="response.create"):
    response: ResponseFields | UnsetType | None = UNSET


class CancelResponse(Frame, tag="response.cancel"):
    response_id: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class Format(Struct, omit_defaults=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[24000] | UnsetType = UNSET


class TurnDetection(Struct, omit_defaults=True):
    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    prefix_padding_ms: Milliseconds | UnsetType = UNSET
    silence_duration_ms: Milliseconds | UnsetType = UNSET
    idle_timeout_ms: Milliseconds | UnsetType | None = UNSET
    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class NoiseReduction(Struct):
    type: Literal["near_field", "far_field"]


class Transcription(Struct, omit_defaults=True):
    model: Annotated[str, Meta(max_length=64)]
    language: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET


class AudioIn(Struct, omit_defaults=True):
    format: Format | UnsetType = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class AudioOut(Struct, omit_defaults=True):
    format: Format | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class AudioFields(Struct, omit_defaults=True):
    input: AudioIn | UnsetType = UNSET
    output: AudioOut | UnsetType = UNSET


class SessionFields(Struct, omit_defaults=True):
    """How the client hears and is heard; who the model is stays with the server, whatever else is sent."""

    output_modalities: list[Literal["audio", "text"]] | UnsetType = UNSET
    audio: AudioFields | UnsetType = UNSET


class UpdateSession(Frame, tag="session.update"):
    session: SessionFields


Known = (
    AppendAudio | CommitAudio | ClearAudio | CreateItem | TruncateItem | CreateResponse | CancelResponse | UpdateSession
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
        return _refuse(frame, str(problem))
    event_id = known.event_id if known.event_id is not UNSET else None
    if event_id is not None and event_id.startswith(OURS):
        return Refusal("invalid_value", f"event_id: choose one that does not begin with {OURS!r}.", event_id)
    if isinstance(known, CreateItem) and known.item.id is not UNSET and known.item.id.startswith(SERVER_ITEMS):
        return Refusal("invalid_value", f"item.id: choose one that does not begin with {SERVER_ITEMS!r}.", event_id)
    event = msgspec.to_builtins(known)
    if isinstance(known, UpdateSession):
        empty = not event["session"]
        event["session"]["type"] = "realtime"
        return ClientFrame(event, is_empty_update=empty)
    return ClientFrame(event)


def _refuse(frame: str | bytes, problem: str) -> Refusal:
    try:
        peeked = _peek.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Refusal("invalid_json", f"The frame is not a JSON object: {problem}.")
    event_id = peeked.event_id if isinstance(peeked.event_id, str) else None
    if peeked.type is None:
        return Refusal("invalid_event", "The 'type' field is missing.", event_id)
    if peeked.type in FORBIDDEN:
        reason = FORBIDDEN[peeked.type]
        return Refusal("forbidden_event", f"A client may not send {peeked.type}: {reason}.", event_id)
    if peeked.type == "conversation.item.create":
        sentence = f"A client may create messages of the role user only: {problem}."
        return Refusal("forbidden_event", sentence, event_id)
    return Refusal("invalid_value", f"{str(peeked.type)[:64]}: {problem}.", event_id)
