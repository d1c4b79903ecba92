"""The client events as types. The union at the end is all that can be allowed; `Raw` parts are read by the policy."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct

from gateway.protocol.item_fields import ClientMessage, FunctionCallOutput
from gateway.protocol.values import Audio, ItemId, Milliseconds, Open

MAX_EVENT_ID_CHARS = 512
"""The Realtime API's own limit."""
OURS = "rb_"
"""How the event_id of everything we send on our own account begins; a client's may not."""
OUR_MARK = "ringback"
"""The key of a response's metadata that is ours."""
SERVER_ITEMS = "fco_"
"""How the id of an answer of ours begins; a client's item's may not."""

EventId = Annotated[str, Meta(max_length=MAX_EVENT_ID_CHARS)]


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """A client event; `event_id` comes back in the error that it may cause."""

    event_id: Open[EventId] = UNSET


class AppendAudio(Frame, tag="input_audio_buffer.append"):
    audio: Audio


class CommitAudio(Frame, tag="input_audio_buffer.commit"):
    pass


class ClearAudio(Frame, tag="input_audio_buffer.clear"):
    pass


class CreateItem(Frame, tag="conversation.item.create"):
    item: ClientMessage | FunctionCallOutput
    previous_item_id: Open[ItemId] = UNSET


class RetrieveItem(Frame, tag="conversation.item.retrieve"):
    item_id: ItemId


class DeleteItem(Frame, tag="conversation.item.delete"):
    item_id: ItemId


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
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | UpdateSession
    | AnswerApproval
)
