"""Scopes of a user, as the gateway wrote them into the session: the one place where they are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CLAIM = "scopes"
"""Name of the session's claim that lists the user's scopes. Only the gateway writes it, never a client or model."""


def missing(needed: Iterable[str], claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the scopes that are needed and not held, in order. A claim that is no list of texts holds none."""
    held = claims.get(CLAIM)
    known = {scope for scope in held if isinstance(scope, str)} if isinstance(held, list | tuple) else set()
    return tuple(sorted(set(needed) - known))
