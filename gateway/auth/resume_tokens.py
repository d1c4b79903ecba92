"""The token with which a client comes back to its session: how it is made, carried and recognised.

It stands in a header, or, from a browser, among the subprotocols; never in a URL, which gets logged. Only its hash is
kept. It is good once: whoever uses it gets the next one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

HEADER = "ringback-resume"
TOKEN_SUBPROTOCOL = "ringback-resume."  # noqa: S105 — a prefix
PREFIX = "rb_resume_"
"""So that a scanner that finds one in a log knows what it has found."""
RANDOM_BYTES = 32
"""Nobody guesses one, however many sessions there are."""


def new_token() -> str:
    """A token that nobody has seen before."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> bytes:
    """What the row keeps of it."""
    return hashlib.sha256(token.encode()).digest()


def presented(header: str | None, subprotocols: Iterable[str] = ()) -> str | None:
    """The token that a client brings along, or None."""
    if header:
        return header.strip()
    for protocol in subprotocols:
        if protocol.startswith(TOKEN_SUBPROTOCOL):
            return protocol.removeprefix(TOKEN_SUBPROTOCOL)
    return None
