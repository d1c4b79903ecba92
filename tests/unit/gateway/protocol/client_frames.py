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

AS_IT_CAME: dict[str, dict[str, Any]] = {
    "audio": {"type": "input_audio_buffer.append", "audio": "AAEC"},
    "no audio": {"type": "input_audio_buffer.append", "audio": ""},
    "commit": {"type": "input_audio_buffer.commit", "event_id": "mine"},
    "clear": {"type": "input_audio_buffer.clear"},
    "text": {"type": "conversation.item.create", "item": user_message(TEXT, id="item_mine")},
    "spoken": {
        "type": "conversation.item.create",
        "item": user_message({"type": "input_audio", "audio": "AAEC", "transcript": "Hello"}),
    },
    "picture": {
        "type": "conversation.item.create",
        "item": user_message({"type": "input_image", "image_url": "data:image/png;base64,AAEC", "detail": "low"}),
    },
    "retrieve": {"type": "conversation.item.retrieve", "item_id": "item_1"},
    "delete": {"type": "conversation.item.delete", "item_id": "item_1"},
    "truncate": {
        "type": "conversation.item.truncate",
        "item_id": "item_1",
        "content_index": 0,
        "audio_end_ms": 1500,
    },
    "bare create": {"type": "response.create"},
    "create": {
        "type": "response.create",
        "response": {"conversation": "auto", "output_modalities": ["text"], "metadata": {"topic": "weather"}},
    },
    "update": {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}},
    "approval": {
        "type": "ringback.approval.respond",
        "job_id": "c9091c61-915b-5ff6-a80f-70d5ab22e78a",
        "approved": True,
    },
    "playback": {"type": "ringback.playback", "item_id": "item_1", "played_ms": 1500},
    "cancel": {"type": "response.cancel", "response_id": "resp_1"},
}
"""Examples of every event that go on as they came. The fuzzer begins with them too."""
