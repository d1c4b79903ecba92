"""Where a provider takes calls over WebRTC and SIP: URLs, the form of an offer, and what its answer holds.

A call's audio goes from the caller to the provider; the gateway joins with a second connection, the sideband. All
addresses are derived from the one WebSocket URL of a provider, `…/realtime`: what stands behind it differs by provider.
Plain functions: `gateway` code that holds connections calls them, and sends `Provider.headers`.
Sources: Realtime API, WebRTC, SIP and server-side controls; Azure, WebRTC; Inworld, WebRTC call control.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.errors import GatewayError

Act: TypeAlias = Literal["accept", "reject", "refer", "hangup"]
"""What can be done to a call over HTTP; all but `hangup` are of SIP."""
CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""OpenAI's begin with `rtc_`, Inworld's are UUIDs. It is written into URLs."""
OF_A_CONNECTION = frozenset({"model", "deployment", "call_id", "intent"})
"""Parts of a WebSocket URL's query that belong to that connection alone: a call's model stands in its session."""
SCHEMES = {"wss": "https", "ws": "http"}


class CallRefused(GatewayError):
    """The provider did not do what it was asked of a call, or takes no such call.

    Args:
        reason: what to do, or for the log: the status and the code, or the kind of failure.
        status: its HTTP status; None: it did not answer, or was not asked.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class CallProfile:
    """How one provider takes calls.

    Args:
        offer: the form of the request: parts of a form, or JSON. None: there are no calls that a server can join.
        query: what `…/calls` needs behind its path.
        acts: what can be done to a call over HTTP.
        secrets: what a client secret may hold: the session of its calls, or no session. None: there are no secrets.
    """

    offer: Literal["form", "json"] | None = "form"
    query: Mapping[str, str] = field(default_factory=dict)
    acts: frozenset[Act] = frozenset({"accept", "reject", "refer", "hangup"})
    secrets: Literal["session", "bare"] | None = "session"


OPENAIS = CallProfile()
"""As OpenAI's servers take calls, and others that speak its protocol."""
NO_CALLS = CallProfile(offer=None, acts=frozenset(), secrets=None)


class TakesCalls(Protocol):
    """What these functions read of a provider (`gateway.upstream.providers.Provider`)."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str | None: ...
    @property
    def calls(self) -> CallProfile: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """A request's body, as `httpx` takes it: one of the two is not None."""

    files: dict[str, tuple[None, str, str]] | None = None
    """Parts of a form, each (no file name, content, content type)."""
    json: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A placed call: its id, and the SDP answer for the caller."""

    call_id: str
    sdp: str


def calls_url(provider: TakesCalls, *, url: str | None = None) -> str:
    """Return where an SDP offer is posted. `url` is REALTIME_URL, which wins over the provider's own.

    Raises:
        CallRefused: this provider takes no calls that the gateway can join.
    """
    return _http(provider, url, "calls", _profile(provider).query)


def call_url(provider: TakesCalls, call_id: str, act: Act, *, url: str | None = None) -> str:
    """Return where a call is accepted, rejected, referred or hung up; raises CallRefused if that cannot be done."""
    if act not in _profile(provider).acts:
        raise CallRefused(f"REALTIME_PROVIDER={provider.name} has no {act!r} for calls")
    return _http(provider, url, f"calls/{_checked(call_id)}/{act}")


def client_secrets_url(provider: TakesCalls, *, url: str | None = None) -> str:
    """Return where a client secret of the provider is made; `CallProfile.secrets` says what it may hold.

    Raises:
        CallRefused: this provider makes none.
    """
    if provider.calls.secrets is None:
        raise CallRefused(f"REALTIME_PROVIDER={provider.name} makes no client secrets")
    return _http(provider, url, "client_secrets")


def sideband_url(provider: TakesCalls, call_id: str, *, url: str | None = None) -> str:
    """Return the WebSocket URL that joins a call, for `Provider.target`; raises CallRefused.

    No `session.created` comes there. It may answer 404 until the caller's connection stands.
    """
    _profile(provider)
    parts = urlsplit(_realtime(provider, url))
    query = [*_kept(parts.query), ("call_id", _checked(call_id))]
    return urlunsplit(parts._replace(query=urlencode(query)))


def offer_of(provider: TakesCalls, sdp: str, session: Mapping[str, Any]) -> Offer:
    """Return the body that offers a call with this session; raises CallRefused."""
    if _profile(provider).offer == "json":
        return Offer(json={"sdp": sdp, "session": dict(session)})
    parts = {"sdp": (None, sdp, "application/sdp"), "session": (None, dumps(session), "application/json")}
    return Offer(files=parts)


def read_answer(provider: TakesCalls, location: str | None, body: str) -> Answer:
    """Return the call that a provider placed.

    Args:
        location: the header `Location` of its answer, which ends with the call's id.
        body: SDP, or JSON where the offer was JSON.

    Raises:
        CallRefused: there is no id or no SDP in it.
    """
    call_id, sdp = (location or "").partition("?")[0].rstrip("/").rpartition("/")[2], body
    if _profile(provider).offer == "json":
        told = _object(body)
        call_id, sdp = call_id or str(told.get("id", "")), str(told.get("sdp", ""))
    if not CALL_ID.fullmatch(call_id):
        raise CallRefused(f"the answer of REALTIME_PROVIDER={provider.name} to a call names no call (Location)")
    if not sdp.startswith("v="):
        raise CallRefused(f"the answer of REALTIME_PROVIDER={provider.name} to a call holds no SDP")
    return Answer(call_id, sdp)


def _object(body: str) -> dict[str, Any]:
    try:
        told = loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _profile(provider: TakesCalls) -> CallProfile:
    if provider.calls.offer is None:
        raise CallRefused(
            f"REALTIME_PROVIDER={provider.name} takes no calls that a server can join: connect over the WebSocket, "
            "/v1/realtime"
        )
    return provider.calls


def _checked(call_id: str) -> str:
    if not CALL_ID.fullmatch(call_id):
        raise CallRefused("a call's id has 1 to 128 letters, digits, hyphens and underscores")
    return call_id


def _realtime(provider: TakesCalls, url: str | None) -> str:
    address = url or provider.url
    if address is None:
        raise CallRefused(f"REALTIME_URL is not set, and REALTIME_PROVIDER={provider.name} has no default")
    return address


def _http(provider: TakesCalls, url: str | None, path: str, query: Mapping[str, str] | None = None) -> str:
    parts = urlsplit(_realtime(provider, url))
    base = parts.path.rstrip("/")
    if not base.endswith("/realtime"):
        raise CallRefused(f"REALTIME_URL must end with /realtime to take calls; its path is {parts.path!r}")
    scheme = SCHEMES.get(parts.scheme, parts.scheme)
    named = [*_kept(parts.query), *(query or {}).items()]
    return urlunsplit(parts._replace(scheme=scheme, path=f"{base}/{path}", query=urlencode(named)))


def _kept(query: str) -> list[tuple[str, str]]:
    return [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in OF_A_CONNECTION]
