"""Who is calling. Decided before the upgrade, from headers alone; a token never stands in a URL or a log."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from ringback.tables import DEFAULT_TENANT

SUBPROTOCOL = "realtime"
TOKEN_SUBPROTOCOL = "openai-insecure-api-key."  # noqa: S105 — the official SDKs' own prefix, for browsers.


REALTIME, SECRETS, TRUSTED, HISTORY, CONTROL, ADMIN = SCOPES = (
    "realtime",  # hold a conversation
    "secrets",  # make client secrets, for users of one's own
    "trusted",  # be held to the policy of a backend, and not to that of a stranger
    "history",  # read sessions, calls and usage
    "control",  # cancel and approve calls, end sessions
    "admin",  # revoke, sign out and erase
)
"""What a caller may do with the gateway. Any other scope is the tools' business (`@tool(scopes=…)`)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client: `user` within `tenant`.

    Args:
        claims: what else is known of them, handed to tools; `claims["scopes"]` holds their scopes as a sorted list.
        scopes: of `SCOPES`, and any that tools ask for.
        credential: with what they came in, as `sessions.credential` has it; never the credential itself.
        agent: the one agent that they may have; None: any.
    """

    user: str
    tenant: str = DEFAULT_TENANT
    claims: dict[str, Any] = field(default_factory=dict, hash=False)
    scopes: frozenset[str] = frozenset({REALTIME, SECRETS, HISTORY, CONTROL})
    credential: str = ""
    agent: str | None = None

    @property
    def is_trusted(self) -> bool:
        """True for a backend of one's own."""
        return TRUSTED in self.scopes


class Callers:
    """The tokens that are good here, kept as hashes and compared in constant time."""

    def __init__(self, tokens: Mapping[str, SecretStr]) -> None:
        self._users = {_digest(token.get_secret_value()): user for user, token in tokens.items()}

    def by_token(self, token: str | None) -> Caller | None:
        """The caller with this token, or None."""
        digest = _digest(token or "")
        found = [user for known, user in self._users.items() if hmac.compare_digest(known, digest)]
        return Caller(found[0]) if found else None

    def by_headers(self, authorization: str | None, subprotocols: Iterable[str] = ()) -> Caller | None:
        """The caller of a request: `Authorization: Bearer …`, or a browser's WebSocket subprotocol."""
        return self.by_token(bearer(authorization) or offered(subprotocols))


def bearer(authorization: str | None) -> str | None:
    """The token in an Authorization header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def offered(subprotocols: Iterable[str]) -> str | None:
    """The token among the subprotocols a browser offers (it cannot set headers)."""
    for protocol in subprotocols:
        if protocol.startswith(TOKEN_SUBPROTOCOL):
            return protocol.removeprefix(TOKEN_SUBPROTOCOL) or None
    return None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
