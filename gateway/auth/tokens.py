"""Tokens of our own: an API key for a backend, a client secret for one of its users. Only their hashes are kept.

A key is shown once, when it is made. Each has a prefix, so that a scanner which finds one knows what it has found,
and a fixed shape, so that most of what is no token is told from one without asking anybody.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum

RANDOM_BYTES = 32
"""Nobody guesses one, however many there are; and a fast hash of so much is no easier to undo."""


class Kind(StrEnum):
    """What a token is, by its looks."""

    KEY = "rb_sk_"
    SECRET = "ek_"  # noqa: S105 — a prefix
    OTHER = ""


_OURS = re.compile(r"(rb_sk_|ek_)[A-Za-z0-9_-]{43}")
"""43: characters of `RANDOM_BYTES` in URL-safe base64."""


def new(kind: Kind) -> str:
    """A token that nobody has seen before."""
    return kind + secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> bytes:
    """What the row keeps of it: SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def kind_of(token: str) -> Kind:
    """What this may be; whether anybody knows it, the rows say."""
    found = _OURS.fullmatch(token)
    return Kind(found[1]) if found else Kind.OTHER
