"""What a client may say. Each frame is decoded once, by type, and what goes on is written anew from the value.

    frames       the client events as types: a tagged union, which is the longest allow-list there can be
    items        what a client may create
    fields       what of a session and of a response can be set, as types
    values       what these are made of, and the bounds of it
    strictness   JSON that two readers could understand in two ways, or that is built to cost: which rule it breaks
    opening      the client's policy applied to fields: what is kept, what is left out
    reading      a frame through all of it
    explaining   why a frame could not be decoded, as far as one can tell from it
    refusals     why a frame did not pass, in words

An event that no type names, and a field that no type names, never reach the model, whatever a policy says
(`ringback.agents.client_policy`). (Realtime API, client events; docs/clients.md.)
"""

from __future__ import annotations

from gateway.protocol.client_decoder import ClientFrame, read
from gateway.protocol.client_events import MAX_EVENT_ID_CHARS, OUR_MARK, OURS, SERVER_ITEMS, Known
from gateway.protocol.decode_errors import MAX_PLAIN_CHARS, MAX_PLAIN_VALUES, MAX_VALUES
from gateway.protocol.field_filter import of_earlier
from gateway.protocol.item_fields import ClientMessage, FunctionCallOutput
from gateway.protocol.json_strictness import MAX_DEPTH, MAX_NUMBER_CHARS
from gateway.protocol.rejections import FORBIDDEN, MAX_PROBLEM_CHARS, RULES, Refusal, about_left_out, left_out_event
from gateway.protocol.session_fields import AudioIn, AudioOut, FunctionTool, ResponseFields, SessionFields

__all__ = [
    "FORBIDDEN",
    "MAX_DEPTH",
    "MAX_EVENT_ID_CHARS",
    "MAX_NUMBER_CHARS",
    "MAX_PLAIN_CHARS",
    "MAX_PLAIN_VALUES",
    "MAX_PROBLEM_CHARS",
    "MAX_VALUES",
    "OURS",
    "OUR_MARK",
    "RULES",
    "SERVER_ITEMS",
    "AudioIn",
    "AudioOut",
    "ClientFrame",
    "ClientMessage",
    "FunctionCallOutput",
    "FunctionTool",
    "Known",
    "Refusal",
    "ResponseFields",
    "SessionFields",
    "about_left_out",
    "left_out_event",
    "of_earlier",
    "read",
]
