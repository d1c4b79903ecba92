"""Tokens that Ringback issues: API keys, client secrets, resume tokens. A row keeps only a token's digest.

A token is shown once, when it is made. Its prefix tells a secret scanner what it has found. Keys and secrets have a
fixed shape, so that the gateway can reject most other strings without asking Postgres.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum

RANDOM_BYTES = 32
"""256 bits: too many to guess, even by a fast hash."""


class Kind(StrEnum):
    """Kind of a token, by its shape."""

    KEY = "rb_sk_"
    SECRET = "ek_"  # noqa: S105 — a prefix
    OTHER = ""


_OURS = re.compile(r"(rb_sk_|ek_)[A-Za-z0-9_-]{43}")
"""43: characters of `RANDOM_BYTES` in URL-safe base64."""


def new(prefix: str) -> str:
    """Return a new random token with this prefix, which may be a Kind."""
    return prefix + secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> bytes:
    """Return what the row keeps of a token: its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def kind_of(token: str) -> Kind:
    """Return what this token may be; the rows tell whether it is one."""
    found = _OURS.fullmatch(token)
    return Kind(found[1]) if found else Kind.OTHER
