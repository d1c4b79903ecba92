"""The protocol's ids, server events and refusals.

:func:`server_event` makes all events of the simulator, so that each has the two fields of all recorded events: ``type``
and ``event_id``.
"""

from __future__ import annotations

import base64
import secrets
import string
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]

_ALPHABET = string.ascii_letters + string.digits
# Recorded ids carry 21 characters after the prefix, call ids 16.
_ID_LENGTH = 21
_CALL_ID_LENGTH = 16
# Recorded deltas pad `delta` with `obfuscation` to a multiple of 16 characters, to hide its length.
_OBFUSCATION_BLOCK = 16
# "Expected a string with maximum length 32": the server's limit for item ids and call ids.
MAX_ID_LENGTH = 32


def new_id(prefix: str) -> str:
    """Return a fresh id such as ``item_E7VIlEGb6YOY6mC2EbWDm``."""
    length = _CALL_ID_LENGTH if prefix == "call" else _ID_LENGTH
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(length))}"


def server_event(event_type: str, **fields: Any) -> Event:
    """Return a server event with its ``type``, a fresh ``event_id`` and the given fields."""
    return {"type": event_type, "event_id": new_id("event"), **fields}


def obfuscation(delta: str) -> str:
    """Return the random padding that recorded servers send beside a textual delta."""
    padding = _OBFUSCATION_BLOCK - len(delta) % _OBFUSCATION_BLOCK
    return "".join(secrets.choice(_ALPHABET) for _ in range(padding))


@dataclass
class Refused(Exception):
    """A client event that the server answers with an ``error`` event; the session goes on."""

    code: str
    message: str
    param: str | None = None
    type: str = "invalid_request_error"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def event(self, client_event_id: str | None) -> Event:
        """Return the ``error`` event; ``client_event_id`` is echoed so that the client can correlate it."""
        error = {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": client_event_id,
        }
        return server_event("error", error=error)


def missing(param: str) -> Refused:
    """Return the refusal for a required field that is absent."""
    return Refused("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def invalid(param: str, message: str) -> Refused:
    """Return the refusal for a value that is not allowed."""
    return Refused("invalid_value", message, param)


def unknown(param: str) -> Refused:
    """Return the refusal for an unknown field."""
    return Refused("unknown_parameter", f"Unknown parameter: '{param}'.", param)


def too_long(param: str, length: int, limit: int = MAX_ID_LENGTH) -> Refused:
    """Return the refusal for an id above the server's limit, which is OpenAI's unless told."""
    return Refused(
        "string_above_max_length",
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead.",
        param,
    )


def mapping(value: Any, param: str) -> dict[str, Any]:
    """Return a value that has to be an object; null stands for an empty one."""
    if value is not None and not isinstance(value, dict):
        raise Refused("invalid_type", f"Invalid type for '{param}': expected an object.", param)
    return value or {}


def listed(value: Any, param: str) -> list[dict[str, Any]]:
    """Return a value that has to be a list of objects; null stands for an empty one."""
    if value is not None and not isinstance(value, list):
        raise Refused("invalid_type", f"Invalid type for '{param}': expected an array.", param)
    return [mapping(element, f"{param}[{index}]") for index, element in enumerate(value or [])]


def text(value: Any, param: str) -> str:
    """Return a value that has to be a string."""
    if not isinstance(value, str):
        raise Refused("invalid_type", f"Invalid type for '{param}': expected a string.", param)
    return value


def decoded_audio(value: Any, param: str) -> bytes:
    """Return the bytes of base64 audio."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise invalid(param, f"Invalid '{param}'. Expected base64-encoded audio bytes.") from error
