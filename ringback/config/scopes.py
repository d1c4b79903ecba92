"""What somebody may do, as the gateway wrote it into their session: the one place where it is compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CLAIM = "scopes"
"""Of a session's claims: the list of what whoever is talking holds. The gateway writes it; a client or model never."""


def missing(needed: Iterable[str], claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes that are needed and not held, in order; anything but a list of texts holds none."""
    held = claims.get(CLAIM)
    known = {scope for scope in held if isinstance(scope, str)} if isinstance(held, list | tuple) else set()
    return tuple(sorted(set(needed) - known))
