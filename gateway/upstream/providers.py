"""One `Provider` for each provider of the Realtime API: its URL, headers, shape of a session, connection and quirks.

To add a provider, add one object to `PROVIDERS`. The settings then accept its name, and
tests/unit/gateway/upstream/test_providers.py names what docs/protocol.md and docs/configuration.md must say of it.
Source: each provider's own reference; docs/protocol.md lists the differences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.upstream.call_endpoints import NO_CALLS, OPENAIS, CallProfile
from gateway.upstream.connection import Target, Upstream, WebSocketUpstream
from gateway.upstream.quirks import USUAL, Quirks
from gateway.upstream.translated import TranslatedUpstream, Translation
from ringback.config.proxies import may_be_proxied

Session: TypeAlias = dict[str, Any]
"""The `session` of a `session.update`."""


def _as_it_is(session: Session) -> Session:
    return session


def _no_headers(_user: str) -> dict[str, str]:
    return {}


async def connect(target: Target, within: float) -> Upstream:
    """Connect within so many seconds, by picows where it is installed and can; raises UpstreamRefused.

    `websockets` knows the proxies that the environment names, and a user's name and password in a URL.
    """
    fast = None if may_be_proxied(target.url) or urlsplit(target.url).username else _fast()
    return await (fast or WebSocketUpstream.open)(target, within)


@cache
def _fast() -> Callable[[Target, float], Awaitable[Upstream]] | None:
    try:
        from gateway.upstream.picows_connection import PicowsUpstream
    except ImportError:
        return None
    return PicowsUpstream.open


def translated(translation: Callable[[], Translation]) -> Callable[[Target, float], Awaitable[Upstream]]:
    """Return the `connect` of a provider whose server speaks another protocol."""

    async def connect_translated(target: Target, within: float) -> Upstream:
        return TranslatedUpstream(await connect(target, within), translation())

    return connect_translated


@dataclass(frozen=True, slots=True)
class Provider:
    """How one provider wants to be called."""

    name: str
    """As REALTIME_PROVIDER names it."""
    url: str | None = None
    """The provider's WebSocket URL. None: REALTIME_URL has to name it."""
    needs_key: bool = False
    """True: the gateway does not start without REALTIME_API_KEY."""
    key_header: str = "Authorization: Bearer"
    """The header that carries the key, and what stands before the key in it."""
    user_headers: Callable[[str], dict[str, str]] = _no_headers
    """Makes the headers that tell the provider of the user; its argument is the user's name."""
    adapt_session: Callable[[Session], Session] = _as_it_is
    """Writes a session as this provider reads it. It keeps `instructions` and `tools` under these names: by them the
    gateway checks what the server echoes, and hides them from clients."""
    connect: Callable[[Target, float], Awaitable[Upstream]] = connect
    """Connects within so many seconds, or raises UpstreamRefused."""
    is_simulated: bool = False
    """True: no model answers, so RINGBACK_MODE=production refuses to start."""
    quirks: Quirks = USUAL
    calls: CallProfile = OPENAIS
    """How it takes calls over WebRTC and SIP (`gateway.upstream.call_endpoints`)."""

    def target(self, model: str, user: str, *, url: str | None, key: str, headers: Mapping[str, str]) -> Target:
        """Return the URL and the headers of one session's connection.

        Args:
            model: on Azure, the name of the deployment.
            user: the user's name; it is sent as a hash at most.
            url: REALTIME_URL, which wins over the provider's own URL.
            headers: REALTIME_HEADERS, which are sent as they are.
        """
        address = url or self.url
        if address is None:
            raise ValueError(f"{self.name} has no URL of its own")
        return Target(_with_model(address, model), self.headers(user, key=key, headers=headers), self.quirks)

    def headers(self, user: str, *, key: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of any request to the provider; the arguments are those of `target`."""
        return {**headers, **(self._key_headers(key) if key else {}), **self.user_headers(user)}

    def _key_headers(self, key: str) -> dict[str, str]:
        name, _, scheme = self.key_header.partition(": ")
        return {name: f"{scheme} {key}".strip()}


def _safety_identifier(user: str) -> dict[str, str]:
    """OpenAI's abuse monitoring tells users apart by it."""
    return {"OpenAI-Safety-Identifier": hashlib.sha256(user.encode()).hexdigest()}


def _with_voice_at_the_top(session: Session) -> Session:
    """Add voice and turn detection at the top of the session, where xAI reads them."""
    audio = session.get("audio") or {}
    given = {**(audio.get("input") or {}), **(audio.get("output") or {})}
    # `turn_detection: null` turns it off, so a null is copied too.
    return {**session, **{key: given[key] for key in ("turn_detection", "voice") if key in given}}


OPENAI = Provider("openai", url="wss://api.openai.com/v1/realtime", needs_key=True, user_headers=_safety_identifier)
AZURE = Provider(
    "azure",
    needs_key=True,
    key_header="api-key",
    # The browser is not told of instructions, and the gateway's tools are none of its business.
    calls=CallProfile(query={"webrtcfilter": "on"}),
)
XAI = Provider(
    "xai",
    url="wss://api.x.ai/v1/realtime",
    needs_key=True,
    adapt_session=_with_voice_at_the_top,
    calls=CallProfile(offer=None, acts=frozenset(), secrets="bare"),
)
INWORLD = Provider(
    "inworld",
    url="wss://api.inworld.ai/v1/realtime",
    needs_key=True,
    calls=CallProfile(offer="json", acts=frozenset({"hangup"}), secrets=None),
)
SIMULATOR = Provider("simulator", url="ws://127.0.0.1:8090/v1/realtime", is_simulated=True)
LOADS_FIRST = Quirks(create_seconds=20.0, pong_seconds=30.0)
"""A server on one's own machine may load its model first, and not answer meanwhile."""
SPEECH_TO_SPEECH = Provider(
    "speech_to_speech",
    url="ws://127.0.0.1:8765/v1/realtime",
    # It refuses each response while a call has no output, so a slow tool would silence the talk.
    quirks=replace(LOADS_FIRST, answers_early_seconds=1.0),
    calls=NO_CALLS,
)
"""Hugging Face's pipeline of recognition, a language model and speech, 1.1.0."""
LOCALAI = Provider("localai", quirks=replace(LOADS_FIRST, deletes_items=False), calls=NO_CALLS)
"""It listens at 8080 by default, where the gateway does: REALTIME_URL has to say where it is."""
CUSTOM = Provider("custom", quirks=LOADS_FIRST)

PROVIDERS = {
    provider.name: provider for provider in (OPENAI, AZURE, XAI, INWORLD, SIMULATOR, SPEECH_TO_SPEECH, LOCALAI, CUSTOM)
}

if TYPE_CHECKING:
    ProviderName: TypeAlias = str
else:  # pydantic refuses all other names, and lists these
    ProviderName = Literal[tuple(PROVIDERS)]


def _with_model(url: str, model: str) -> str:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name in ("model", "call_id") for name, _ in query):
        query.append(("model", model))
    return urlunsplit(parts._replace(query=urlencode(query)))
