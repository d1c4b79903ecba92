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
(`ringback.clients`). (Realtime API, client events; docs/clients.md.)
"""

from __future__ import annotations

from gateway.policy.explaining import MAX_PLAIN_CHARS, MAX_PLAIN_VALUES, MAX_VALUES
from gateway.policy.fields import AudioIn, AudioOut, FunctionTool, ResponseFields, SessionFields
from gateway.policy.frames import (
    MAX_EVENT_ID_CHARS,
    OUR_MARK,
    OURS,
    SERVER_ITEMS,
    Known,
)
from gateway.policy.items import ClientMessage, FunctionCallOutput
from gateway.policy.opening import of_earlier
from gateway.policy.reading import ClientFrame, read
from gateway.policy.refusals import FORBIDDEN, MAX_PROBLEM_CHARS, RULES, Refusal, about_left_out, left_out_event
from gateway.policy.strictness import MAX_DEPTH, MAX_NUMBER_CHARS

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
