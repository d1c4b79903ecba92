"""The client events as types. The union at the end is all that can be allowed; `Raw` parts are read by the policy."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct

from gateway.policy.fields import Milliseconds, Open, Text

MAX_EVENT_ID_CHARS = 512
"""The Realtime API's own limit."""
MAX_CALL_ID_CHARS = 1_024
"""Servers and proxies make ids of hundreds of characters; OpenAI's have 32 at most."""
OURS = "rb_"
"""How the event_id of everything we send on our own account begins; a client's may not."""
OUR_MARK = "ringback"
"""The key of a response's metadata that is ours."""
SERVER_ITEMS = "fco_"
"""How the id of an answer of ours begins; a client's item's may not."""

EventId = Annotated[str, Meta(max_length=MAX_EVENT_ID_CHARS)]
ItemId = Annotated[str, Meta(min_length=1, max_length=32)]  # The Realtime API refuses longer ones.
Audio = Annotated[bytes, Meta(max_length=15 * 1024 * 1024)]  # The Realtime API's own limit for one event.


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


class FunctionCallOutput(Struct, tag="function_call_output", tag_field="type", omit_defaults=True):
    """Only of a client that brings tools, and only about a call of one of these: the brain knows which."""

    call_id: Annotated[str, Meta(min_length=1, max_length=MAX_CALL_ID_CHARS)]
    output: Text
    id: Open[ItemId] = UNSET


class CreateItem(Frame, tag="conversation.item.create"):
    item: UserMessage | FunctionCallOutput


class TruncateItem(Frame, tag="conversation.item.truncate"):
    item_id: ItemId
    audio_end_ms: Milliseconds
    content_index: Annotated[int, Meta(ge=0, le=31)]


class CreateResponse(Frame, tag="response.create"):
    response: Raw = Raw(b"null")


class CancelResponse(Frame, tag="response.cancel"):
    response_id: Open[Annotated[str, Meta(max_length=64)]] = UNSET


class UpdateSession(Frame, tag="session.update"):
    session: Raw


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
