"""Resume token: with it a client returns to its session.

The client sends it in a header, or, from a browser, among the subprotocols; never in a URL, which gets logged. A token
is good once: the client that uses it gets the next one. Its digest is `tokens.digest`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.auth.tokens import new

HEADER = "ringback-resume"
TOKEN_SUBPROTOCOL = "ringback-resume."  # noqa: S105 — a prefix
PREFIX = "rb_resume_"
"""Tells a secret scanner what it has found in a log."""


def new_token() -> str:
    """Return a new random token."""
    return new(PREFIX)


def presented(header: str | None, subprotocols: Iterable[str] = ()) -> str | None:
    """Return the token that a client presents, or None."""
    if header:
        return header.strip()
    for protocol in subprotocols:
        if protocol.startswith(TOKEN_SUBPROTOCOL):
            return protocol.removeprefix(TOKEN_SUBPROTOCOL)
    return None
