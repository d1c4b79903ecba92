"""Client events as types: for each event its fields, how large it may be, and until when it is sent again.

To allow one more event, add a class here and to `Known`, and its type to `ringback.agents.client_policy`. The gateway
does not start if one of the two is missing. The policy reads the `Raw` parts (`field_filter`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar, get_args
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct

from gateway.protocol.item_fields import ClientMessage, FunctionCallOutput
from gateway.protocol.values import Audio, ItemId, Milliseconds, Open
from gateway.upstream.events import ItemShown, SessionUpdated, Told, UserTurnCommitted
from ringback.agents.client_policy import CLIENT_EVENTS

MAX_EVENT_ID_CHARS = 512
"""The Realtime API's own limit."""
OURS = "rb_"
"""The event_id of each event that the gateway itself sends begins so; a client's may not."""
OUR_MARK = "ringback"
"""The key of a response's metadata that is the gateway's."""
SERVER_ITEMS = "fco_"
"""The id of each result that the gateway creates begins so; the id of a client's item may not."""

EventId = Annotated[str, Meta(max_length=MAX_EVENT_ID_CHARS)]


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """Client event; an error that it causes names its `event_id`."""

    event_id: Open[EventId] = UNSET
    resent_until: ClassVar[type[Told] | None] = None
    """What the server says once it has this event. If the connection ends before, the event is sent again on the next
    one, as `client.resend_buffer` keeps it. None: it is not sent again."""
    has_media: ClassVar[bool] = False
    """True: it may carry audio or pictures, and be as large as they are."""


class AppendAudio(Frame, tag="input_audio_buffer.append", gc=False):  # It refers to text and bytes alone.
    resent_until = UserTurnCommitted
    has_media = True
    audio: Audio


class CommitAudio(Frame, tag="input_audio_buffer.commit"):
    resent_until = UserTurnCommitted


class ClearAudio(Frame, tag="input_audio_buffer.clear"):
    pass


class CreateItem(Frame, tag="conversation.item.create"):
    resent_until = ItemShown
    has_media = True
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
    resent_until = SessionUpdated
    session: Raw


class AnswerApproval(Frame, tag="ringback.approval.respond"):
    """Answer to a `ringback.approval.requested`; not an event of the Realtime API."""

    job_id: UUID
    approved: bool


class ReportPlayback(Frame, tag="ringback.playback"):
    """Report of how much of an item's audio the client has played; not an event of the Realtime API."""

    item_id: ItemId
    played_ms: Milliseconds


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
    | ReportPlayback
)
"""Each event that a client may send."""

EVENTS: dict[str, type[Frame]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Known)}
"""The same by their `type`."""
RESENT_UNTIL = {name: kind.resent_until for name, kind in EVENTS.items() if kind.resent_until is not None}
WITH_MEDIA = frozenset(name for name, kind in EVENTS.items() if kind.has_media)


def hold(types: Collection[str], allowed: Collection[str]) -> None:
    """Raise TypeError if an event has a type and no policy can allow it, or the other way round."""
    for name in sorted(set(types) ^ set(allowed)):
        place = "gateway/protocol/client_events.py" if name in allowed else "ringback/agents/client_policy.py"
        raise TypeError(f"client event {name!r}: add it to {place}")


hold(EVENTS, CLIENT_EVENTS)
