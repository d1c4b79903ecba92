"""Frames of clients, for the tests of what may pass."""

from __future__ import annotations

import json
from typing import Any

from gateway.protocol import ClientFrame, Rejection, read
from ringback.agents.client_policy import ClientPolicy


def say(**event: Any) -> ClientFrame | Rejection:
    return read(json.dumps(event))


def passed(**event: Any) -> dict[str, Any]:
    frame = say(**event)
    assert isinstance(frame, ClientFrame), frame
    return frame.event


def refusal(frame: str | bytes) -> Rejection:
    refused = read(frame)
    assert isinstance(refused, Rejection), refused
    return refused


def said_by(policy: ClientPolicy, **event: Any) -> ClientFrame:
    frame = read(json.dumps(event), policy)
    assert isinstance(frame, ClientFrame), frame
    return frame


def refused_by(policy: ClientPolicy, event: dict[str, Any]) -> Rejection:
    frame = read(json.dumps(event), policy)
    assert isinstance(frame, Rejection), frame
    return frame


def update_of(policy: ClientPolicy, **session: Any) -> ClientFrame:
    return said_by(policy, type="session.update", session=session)


def user_message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content), **fields}


TEXT = {"type": "input_text", "text": "Hello"}
LOOK_UP = {
    "type": "function",
    "name": "look_up",
    "description": "Look it up.",
    "parameters": {"type": "object", "properties": {"what": {"type": ["string", "null"], "default": None}}},
}
