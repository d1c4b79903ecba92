"""Frames of clients, for the tests of what may pass."""

from __future__ import annotations

import json
from typing import Any

from gateway.policy import ClientFrame, Refusal, read


def say(**event: Any) -> ClientFrame | Refusal:
    return read(json.dumps(event))


def passed(**event: Any) -> dict[str, Any]:
    frame = say(**event)
    assert isinstance(frame, ClientFrame), frame
    return frame.event


def refusal(frame: str | bytes) -> Refusal:
    refused = read(frame)
    assert isinstance(refused, Refusal), refused
    return refused


def user_message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content), **fields}


TEXT = {"type": "input_text", "text": "Hello"}
