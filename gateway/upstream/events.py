"""Domain events: what the server of the model tells a conversation, in any protocol. Each is frozen.

    SessionCreated, SessionUpdated                the session, as the server has it
    UserStartedSpeaking … UserAudioCleared        what the server hears of the user
    ItemShown … ItemDeleted                       the items of the conversation
    ResponseStarted … ResponseFinished            what the model does, and what it says
    RateLimitsUpdated, ErrorReported              how the server fares
    OtherEvent                                    every other event: a client may see it, and no decision hangs on it

`gateway.upstream.realtime_events` reads each frame as one of these. What a server of another protocol says is
translated before (`gateway.upstream.translated`). `raw` is the event as JSON data of the Realtime protocol, which the
client speaks: the client's view is made of it (`client.view`), and no decision.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.errors import GatewayError

Json: TypeAlias = dict[str, Any]


class MalformedEvent(GatewayError):
    """A frame of a model's server that is no event of its protocol; the text says why."""


MAX_ID_CHARS = 1_024
"""Of ids and other words of the server: they become keys here and columns in rows. OpenAI's have 36 at most; proxies
that write into an id where it leads make hundreds of them."""
MAX_MOMENT = 2**53
"""Of times, in seconds or milliseconds: as far as they can be reckoned with."""

Id = Annotated[str, Meta(max_length=MAX_ID_CHARS)]
Moment = Annotated[float, Meta(ge=-MAX_MOMENT, le=MAX_MOMENT)]


# — parts of events: an adapter may decode a frame into these types —


class Item(Struct, frozen=True):
    """An item of the conversation: a message, a function call, or the output of one."""

    id: Id | None = None
    type: Id | None = None
    status: Id | None = None
    call_id: str | None = None  # However long: a call is answered by what it was asked with.
    name: str | None = None  # The model's own invention may be long, and is answered.
    content: list[Any] | None = None
    role: Any = None
    arguments: Any = None


class Response(Struct, frozen=True):
    """A response of the model, as it starts or as it has ended."""

    id: Id | None = None
    status: Id | None = None
    conversation_id: Id | UnsetType | None = UNSET
    output: list[Item] | None = None
    metadata: Any = None
    usage: Any = None

    @property
    def is_out_of_band(self) -> bool:
        """True for a response outside the conversation. A server that names no conversation has only the one."""
        return self.conversation_id is None


class UpstreamError(Struct, frozen=True):
    """An error that the server reports.

    Args:
        code: what kind of error it is, as text; None where the server does not say.
        type: the class of errors that it belongs to.
        event_id: the event of the gateway or the client that it is about, where the server names it.
    """

    code: str | None = None
    type: Any = None
    message: Any = None
    param: Any = None
    event_id: str | None = None


# — the events —


class Told(Struct, frozen=True, kw_only=True):
    """What every event has.

    Args:
        raw: the event in the client's protocol, for the client's view.
        item_id: the item that it is about, where it names one.
        response_id: the response that it is part of, where it names one.
        item: the item that it shows, where it shows one.
    """

    raw: Json
    item_id: str | None = None
    response_id: str | None = None
    item: Item | None = None


class SessionCreated(Told, frozen=True, kw_only=True):
    """The server has a session for this connection; the gateway's settings are not in force yet."""

    session: Json


class SessionUpdated(Told, frozen=True, kw_only=True):
    """The server has taken an update of the session, and shows the session since."""

    session: Json


class UserStartedSpeaking(Told, frozen=True, kw_only=True):
    """The server hears the user begin to speak."""


class UserStoppedSpeaking(Told, frozen=True, kw_only=True):
    """The server hears the user come to an end."""


class UserTurnCommitted(Told, frozen=True, kw_only=True):
    """The server has taken a turn of the user into the conversation."""


class UserStayedSilent(Told, frozen=True, kw_only=True):
    """The user has been silent for so long that the server takes the silence for a turn."""


class UserAudioCleared(Told, frozen=True, kw_only=True):
    """The server has thrown away the audio that was not committed."""


class ItemShown(Told, frozen=True, kw_only=True):
    """The server shows an item that the conversation has."""

    item: Item


class ItemTranscribed(Told, frozen=True, kw_only=True):
    """The server has transcribed what the user said in an item."""

    transcript: str


class ItemTruncated(Told, frozen=True, kw_only=True):
    """The server has cut an item of the model short: the user has heard only so much of it."""

    audio_end_ms: float | None = None


class ItemDeleted(Told, frozen=True, kw_only=True):
    """The server has deleted an item."""


class ResponseStarted(Told, frozen=True, kw_only=True):
    """A response of the model has started."""

    response: Response


class OutputItemStarted(Told, frozen=True, kw_only=True):
    """A response has started an item: a call may be known before its arguments are."""

    item: Item


class OutputItemFinished(Told, frozen=True, kw_only=True):
    """A response has finished an item: a call has all its arguments, unless its status says otherwise."""

    item: Item


class ModelText(Told, frozen=True, kw_only=True):
    """A piece of what the model says, as text."""

    delta: str


class ModelAudio(Told, frozen=True, kw_only=True):
    """A piece of what the model says, as so many characters of base64."""

    chars: int


class ResponseFinished(Told, frozen=True, kw_only=True):
    """A response of the model has ended: its status says how."""

    response: Response


class PlayoutStarted(Told, frozen=True, kw_only=True):
    """The server has begun to play a response to the caller itself, as it does on a call."""


class PlayoutEnded(Told, frozen=True, kw_only=True):
    """The server has played a response to its end, or stopped playing it.

    Args:
        is_whole: it was played to its end.
    """

    is_whole: bool


class RateLimitsUpdated(Told, frozen=True, kw_only=True):
    """The server says what is left of its rate limits."""

    limits: Any = None


class ErrorReported(Told, frozen=True, kw_only=True):
    """The server reports an error. An error is no end: the connection goes on unless the server closes it."""

    error: UpstreamError


class OtherEvent(Told, frozen=True, kw_only=True):
    """An event of another type. It still shows that the line is alive, and which response is at work."""


class PassingText(Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of what is said whose frame the client may get as it came: it has these fields and no other.

    `response_id` is None for what the user said.
    """

    type: str
    item_id: Id
    delta: str
    response_id: Id | None = None
    event_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    obfuscation: str | None = None


class PassingDetail(Struct, frozen=True, forbid_unknown_fields=True):
    """A detail of an item that a response makes: that a part of it begins or ends, or more of a call's arguments.

    Its frame has these fields and no other. The client gets it as it came, or does not get it.
    """

    type: str
    response_id: Id
    item_id: Id
    event_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    part: dict[str, Any] | None = None
    text: str | None = None
    transcript: str | None = None
    delta: str | None = None
    arguments: str | None = None
    name: str | None = None
    call_id: str | None = None
    obfuscation: str | None = None


WITHIN_A_TURN = frozenset({ModelText, OtherEvent, ItemShown, ItemTranscribed, OutputItemStarted})
"""Most of what a server says: it shows more of a turn, and neither begins nor ends one. So nothing is due behind it
that was not due before. It is found by its exact type, which costs a third of `isinstance`: the class of a struct has
a metaclass."""

ModelEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | UserStartedSpeaking
    | UserStoppedSpeaking
    | UserTurnCommitted
    | UserStayedSilent
    | UserAudioCleared
    | ItemShown
    | ItemTranscribed
    | ItemTruncated
    | ItemDeleted
    | ResponseStarted
    | OutputItemStarted
    | OutputItemFinished
    | ModelText
    | ModelAudio
    | ResponseFinished
    | PlayoutStarted
    | PlayoutEnded
    | RateLimitsUpdated
    | ErrorReported
    | OtherEvent
)
