"""How each provider of the Realtime API wants to be called: URL, headers, and the shape of a session.

Source: each provider's own reference; the differences are listed in docs/protocol.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.settings import SIMULATOR_URL, GatewaySettings

URLS = {
    "openai": "wss://api.openai.com/v1/realtime",
    "xai": "wss://api.x.ai/v1/realtime",
    "simulator": SIMULATOR_URL,
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where one session's upstream connection goes. The headers hold the key: never logged, never shown."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Target({urlsplit(self.url).hostname})"


def target(settings: GatewaySettings, model: str, user: str) -> Target:
    """URL and headers for one session.

    Args:
        model: the agent's model; on Azure, the name of the deployment.
        user: goes to OpenAI as a hash, for its abuse monitoring (OpenAI-Safety-Identifier).
    """
    provider = settings.realtime_provider
    key = settings.realtime_api_key.get_secret_value()
    headers = dict(settings.realtime_headers)
    if key:
        headers |= {"api-key": key} if provider == "azure" else {"Authorization": f"Bearer {key}"}
    if provider == "openai":
        headers["OpenAI-Safety-Identifier"] = hashlib.sha256(user.encode()).hexdigest()
    url = settings.realtime_url or URLS[provider]
    return Target(_with_model(url, settings.realtime_model or model), headers)


def adapt_session(provider: str, session: dict[str, Any]) -> dict[str, Any]:
    """The session as this provider reads it: xAI wants voice and turn detection at the top."""
    if provider != "xai":
        return session
    audio = session.get("audio") or {}
    given = {**(audio.get("input") or {}), **(audio.get("output") or {})}
    # `turn_detection: null` turns it off: what is there is lifted, whatever it is.
    return {**session, **{key: given[key] for key in ("turn_detection", "voice") if key in given}}


def _with_model(url: str, model: str) -> str:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name in ("model", "call_id") for name, _ in query):
        query.append(("model", model))
    return urlunsplit(parts._replace(query=urlencode(query)))
