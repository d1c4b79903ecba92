"""Checks claims: JSON data about a user that a session's row and a worker's call carry.

A phone call's session has a user and a claim of its own (`gateway.telephony.routing`). No other credential may have
either: tools know by them that they are on the phone, and with which number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PHONE = "phone"
"""The claim that tells tools of a phone call."""
PHONE_USER = "phone:"
"""How the user of a phone call begins; the caller's number follows."""
RESERVED = f"a user's name may not begin with {PHONE_USER!r}: such users are callers on the phone"
MAX_CHARS = 4_096
"""Of JSON: claims go into each session's row, and to each worker that runs a call."""


def checked(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims, if a row can hold them.

    Raises:
        ValueError: a row cannot hold them; the text says why.
    """
    try:
        text = json.dumps(claims, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        raise ValueError("claims must be plain JSON: no NaN, no half of a character") from None
    if len(text) > MAX_CHARS or "\\u0000" in text:
        raise ValueError(f"claims may take {MAX_CHARS} characters of JSON, and hold no NUL")
    return dict(claims)
