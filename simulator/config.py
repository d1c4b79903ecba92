"""The session object: its recorded defaults, and how ``session.update`` merges into it.

An update is applied or refused as a whole. Fields that it leaves out stay as they are; ``tools``,
``turn_detection`` and ``transcription`` replace what was there, filled up with the defaults of their kind.
"""

from __future__ import annotations

import copy
import math
import time
from typing import Any

from simulator.functions import functions
from simulator.wire import Refused, invalid, mapping, missing, new_id, text, unknown

Session = dict[str, Any]

# Recorded: if `instructions` is empty, the server sets its own instructions, not "".
DEFAULT_INSTRUCTIONS = (
    "You are a helpful, witty, and friendly AI. Your voice and personality should be warm and engaging. "
    "Talk quickly. You should always call a function if you can."
)
# The documented longest duration of a session; `expires_at` says when it ends.
SESSION_LIFETIME_S = 3600

_SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_TRANSCRIPTION = {"model": None, "language": None, "prompt": None}
_MODALITIES = (["text"], ["audio"])
# Accepted though the recorded servers do not echo them.
_NOT_ECHOED = {"parallel_tool_calls", "reasoning"}
_FORMATS = ("audio/pcm", "audio/pcmu", "audio/pcma")


def is_reasoning(model: str) -> bool:
    """Return whether a model is of the 2.x kind, which speaks commentary and reasons before it calls."""
    return model.startswith("gpt-realtime-2.") or model.split("-2025", 1)[0] == "gpt-realtime-2"


def default_session(model: str, lifetime_s: float = SESSION_LIFETIME_S) -> Session:
    """Return the session of a new connection, as recorded in ``session.created``; it expires in so many seconds."""
    reasoning = is_reasoning(model)
    turn_detection = {**_SERVER_VAD, "silence_duration_ms": 500 if reasoning else 200}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": new_id("sess"),
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": math.ceil(time.time() + lifetime_s),
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": turn_detection,
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": "marin" if reasoning else "alloy",
                "speed": 1.0,
            },
        },
        "include": None,
    }


def updated(session: Session, update: dict[str, Any], *, voice_locked: bool) -> Session:
    """Return the session after an update.

    Args:
        session: the effective configuration so far; it is not changed.
        update: the ``session`` field of a ``session.update`` event.
        voice_locked: whether assistant audio exists already, after which the voice may not change.

    Raises:
        Refused: the update is not valid; no field of it applies.
    """
    if "type" not in update:
        raise missing("session.type")
    if update["type"] != session["type"]:
        raise invalid("session.type", f"Passing a session.type of '{update['type']}' is not supported here.")
    result = copy.deepcopy(session)
    for field, value in update.items():
        _apply(result, field, value)
    if voice_locked and result["audio"]["output"]["voice"] != session["audio"]["output"]["voice"]:
        message = "Cannot update a conversation's voice if assistant audio is present."
        raise Refused("cannot_update_voice", message, "session.audio.output.voice")
    return result


def _apply(result: Session, field: str, value: Any) -> None:
    if field == "audio":
        _apply_audio(result["audio"], mapping(value, "session.audio"))
    elif field == "tools":
        result["tools"] = functions(value)
    elif field == "instructions":
        result["instructions"] = text(value or DEFAULT_INSTRUCTIONS, "session.instructions")
    elif field == "output_modalities" and value not in _MODALITIES:
        raise invalid("session.output_modalities", "Supported combinations are: ['text'] and ['audio'].")
    elif field == "model" and value != result["model"]:
        raise invalid("session.model", "Cannot update a conversation's model after the session has started.")
    elif field in result and field not in ("id", "object", "expires_at"):
        result[field] = copy.deepcopy(value)
    elif field not in _NOT_ECHOED:
        raise unknown(f"session.{field}")


def _apply_audio(audio: dict[str, Any], update: dict[str, Any]) -> None:
    for side, fields in update.items():
        if side not in audio:
            raise unknown(f"session.audio.{side}")
        for field, value in mapping(fields, f"session.audio.{side}").items():
            path = f"session.audio.{side}.{field}"
            if field not in audio[side]:
                raise unknown(path)
            audio[side][field] = _audio_field(path, field, value, audio[side][field])


def _audio_field(path: str, field: str, value: Any, before: Any) -> Any:
    if field == "turn_detection" and value is not None:
        return _turn_detection(path, mapping(value, path), before)
    if field == "transcription" and value is not None:
        return {**_TRANSCRIPTION, **mapping(value, path)}
    if field == "format" and (not isinstance(value, dict) or value.get("type") not in _FORMATS):
        raise invalid(path, f"Invalid value: '{value}'. Supported values are: {', '.join(_FORMATS)}.")
    return copy.deepcopy(value)


def _turn_detection(path: str, value: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    kind = value.get("type", "server_vad")
    if kind not in ("server_vad", "semantic_vad"):
        raise invalid(f"{path}.type", f"Invalid value: '{kind}'. Supported: 'server_vad', 'semantic_vad'.")
    base = _SERVER_VAD if kind == "server_vad" else _SEMANTIC_VAD
    if before is not None and before["type"] == kind:
        base = before
    extra = sorted(set(value) - set(base))
    if extra:
        raise unknown(f"{path}.{extra[0]}")
    for field in ("threshold", "prefix_padding_ms", "silence_duration_ms"):
        number = value.get(field, 0)
        if not isinstance(number, int | float) or number < 0:
            raise invalid(f"{path}.{field}", f"Invalid value: '{number}'. Expected a number, 0 or more.")
    return {**base, **value}
