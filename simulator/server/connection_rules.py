"""Decides from the request alone which connections the server accepts.

``/v1/realtime`` is OpenAI's path, ``/openai/v1/realtime`` is Azure's. The key comes as a Bearer token, as
Azure's ``api-key`` header, or as the subprotocol that browsers use because they cannot set headers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from simulator.behavior import SIMPLE

PATHS = frozenset({"/v1/realtime", "/openai/v1/realtime"})
HEALTH_PATH = "/healthz"
SUBPROTOCOL = "realtime"
_KEY_SUBPROTOCOL = "openai-insecure-api-key."

_CODES = {401: "invalid_api_key", 404: "call_id_not_found", 429: "rate_limit_exceeded"}
_MESSAGES = {
    401: "Incorrect API key provided.",
    404: "No session found for this call id.",
    429: "Rate limit reached. Please try again later.",
}


@dataclass(frozen=True)
class ConnectionRequest:
    """Parameters of a connection's URL; ``scenario`` and ``model`` may be absent, ``knobs`` are text."""

    path: str
    model: str | None = None
    scenario: str | None = None
    call_id: str | None = None
    knobs: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, target: str) -> ConnectionRequest:
        """Parse the request target, such as ``/v1/realtime?model=gpt-realtime``."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        knobs = {name: value for name, value in query.items() if name in SIMPLE}
        return cls(parts.path, query.get("model"), query.get("scenario"), query.get("call_id"), knobs)


def key_of(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request, from one of the three places, or None."""
    authorization = headers.get("Authorization", "")
    if authorization.startswith("Bearer "):
        return authorization.removeprefix("Bearer ").strip()
    if "api-key" in headers:
        return headers["api-key"]
    offered = [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    keys = [name.removeprefix(_KEY_SUBPROTOCOL) for name in offered if name.startswith(_KEY_SUBPROTOCOL)]
    return keys[0] if keys else None


def refusal_body(status: int, message: str | None = None, code: str | None = None) -> str:
    """Return the JSON body of a refused request, in the API's shape of errors."""
    code = code or _CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    text = message or _MESSAGES.get(status, HTTPStatus(status).phrase)
    return json.dumps({"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}})
