"""How each provider of the Realtime API wants to be called: URL, headers, the shape of a session, and its manners.

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

LONGEST_SECONDS = 7 * 86_400.0
"""No session lasts for a week: an end beyond it is said in another unit."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a provider's servers do, where no event of theirs tells it in time."""

    create_seconds: float = 10.0
    """How long a server that is asked to speak may take to begin, at least: one that was slow is given more. A server
    that says nothing for twice as long is taken for hung."""
    ping_seconds: float = 15.0
    pong_seconds: float = 10.0
    """A half-open connection is noticed within the two of them."""


PATIENT = Profile(create_seconds=20.0, pong_seconds=30.0)
"""A server of one's own may load its model first, and answer nothing meanwhile."""
PROFILES = {"openai": Profile(), "azure": Profile(), "xai": Profile(), "simulator": Profile(), "custom": PATIENT}


@dataclass(frozen=True, slots=True)
class Target:
    """Where one session's upstream connection goes. The headers hold the key: never logged, never shown."""

    url: str
    headers: dict[str, str]
    profile: Profile = Profile()

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
    return Target(_with_model(url, settings.realtime_model or model), headers, PROFILES[provider])


def adapt_session(provider: str, session: dict[str, Any]) -> dict[str, Any]:
    """The session as this provider reads it: xAI wants voice and turn detection at the top."""
    if provider != "xai":
        return session
    audio = session.get("audio") or {}
    given = {**(audio.get("input") or {}), **(audio.get("output") or {})}
    # `turn_detection: null` turns it off: what is there is lifted, whatever it is.
    return {**session, **{key: given[key] for key in ("turn_detection", "voice") if key in given}}


def lifetime(expires_at: float | None, now: float) -> float | None:
    """Seconds from now until a session ends, by its `expires_at`; None where that cannot be known.

    Most say Unix seconds; some say milliseconds, or how long it lasts. One that is over already tells nothing: the
    clocks may differ.

    Args:
        now: Unix time, in seconds.
    """
    if expires_at is None:
        return None
    readings = (expires_at - now, expires_at / 1_000 - now, expires_at)
    return next((seconds for seconds in readings if 0 < seconds <= LONGEST_SECONDS), None)


def _with_model(url: str, model: str) -> str:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name in ("model", "call_id") for name, _ in query):
        query.append(("model", model))
    return urlunsplit(parts._replace(query=urlencode(query)))
