"""The Realtime protocol as types. A client's frame is decoded once; the gateway sends on what it writes anew from it.

    client_events    the client events as types: each with its fields, and until when it is sent again
    item_fields      items that a client may create, as types
    session_fields   fields of a session and of a response that a client can set, as types
    values           the values that events are made of, with their bounds
    field_filter     applies the client's policy to fields: what is kept, what is left out
    client_decoder   decodes one frame by all of these
    decode_errors    bounds of a frame, and why it could not be decoded
    rejections       why the gateway did not pass a frame on, in words
    audio_formats    bytes per second of each audio format

The policy (`ringback.agents.client_policy`) lists the events and fields that it can open; each has a type here, or the
gateway does not start. Without a type, none reaches the model. (Realtime API, client events; docs/clients.md.)
"""

from __future__ import annotations

from gateway.protocol.client_decoder import ClientFrame, read, read_audio, write_audio
from gateway.protocol.client_events import (
    MAX_EVENT_ID_CHARS,
    OUR_MARK,
    OURS,
    RESENT_UNTIL,
    SERVER_ITEMS,
    AppendAudio,
    Known,
)
from gateway.protocol.decode_errors import MAX_DEPTH, MAX_PLAIN_CHARS, MAX_PLAIN_VALUES, MAX_VALUES
from gateway.protocol.field_filter import of_earlier
from gateway.protocol.item_fields import ClientMessage, FunctionCallOutput
from gateway.protocol.rejections import FORBIDDEN, MAX_PROBLEM_CHARS, RULES, Rejection, about_left_out, left_out_event
from gateway.protocol.session_fields import AudioIn, AudioOut, FunctionTool, ResponseFields, SessionFields

__all__ = [
    "FORBIDDEN",
    "MAX_DEPTH",
    "MAX_EVENT_ID_CHARS",
    "MAX_PLAIN_CHARS",
    "MAX_PLAIN_VALUES",
    "MAX_PROBLEM_CHARS",
    "MAX_VALUES",
    "OURS",
    "OUR_MARK",
    "RESENT_UNTIL",
    "RULES",
    "SERVER_ITEMS",
    "AppendAudio",
    "AudioIn",
    "AudioOut",
    "ClientFrame",
    "ClientMessage",
    "FunctionCallOutput",
    "FunctionTool",
    "Known",
    "Rejection",
    "ResponseFields",
    "SessionFields",
    "about_left_out",
    "left_out_event",
    "of_earlier",
    "read",
    "read_audio",
    "write_audio",
]
