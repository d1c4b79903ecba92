"""What was taken out of a row, encrypted beside it: for whoever runs the call, and for the conversation that asked.

AES-256-GCM. A value opens only where it was sealed for: its session and its column are part of what is authenticated,
so that a row's value that is copied into another's opens nowhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ringback.errors import RingbackError

KEY_BYTES = 32
NONCE_BYTES = 12
"""Random: one key seals 2**32 values before two are likely to meet (NIST SP 800-38D, 8.3)."""
MARK_BYTES = 4
"""Of the key's own hash: which of several keys a value was sealed with."""
VERSION = b"\x01"


class DecryptionFailed(RingbackError):
    """No key of this process opens it: it was sealed with another, or has been changed."""


class FieldCipher:
    """One or more keys: the first seals, and any of them opens.

    Args:
        keys: of 32 bytes each.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        # Only a process that has a key loads the cryptography.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers = {hashlib.sha256(key).digest()[:MARK_BYTES]: AESGCM(key) for key in keys}

    def __repr__(self) -> str:
        return f"Seals({len(self._ciphers)} keys)"

    def seal(self, value: Any, session_id: UUID, column: str) -> bytes:
        """JSON data, for that column of a row of that session."""
        mark, cipher = next(iter(self._ciphers.items()))
        nonce, plain = os.urandom(NONCE_BYTES), json.dumps(value, ensure_ascii=False).encode()
        return VERSION + mark + nonce + cipher.encrypt(nonce, plain, _bound_to(session_id, column))

    def open(self, sealed: bytes, session_id: UUID, column: str) -> Any:
        """What was sealed.

        Raises:
            DecryptionFailed: it was sealed with another key, for another place, or has been changed.
        """
        head = len(VERSION) + MARK_BYTES
        mark, nonce, text = sealed[len(VERSION) : head], sealed[head : head + NONCE_BYTES], sealed[head + NONCE_BYTES :]
        cipher = self._ciphers.get(mark) if sealed.startswith(VERSION) else None
        if cipher is None:
            raise DecryptionFailed("it was sealed with a key that this process does not have (RINGBACK_DATA_KEY)")
        from cryptography.exceptions import InvalidTag

        try:
            return json.loads(cipher.decrypt(nonce, text, _bound_to(session_id, column)))
        except (InvalidTag, ValueError):
            raise DecryptionFailed("it was sealed for another place, or has been changed") from None


def new_key() -> str:
    """A key as RINGBACK_DATA_KEY takes it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def keys_in(text: str) -> tuple[bytes, ...]:
    """The keys of a comma-separated list; ValueError, which does not repeat them, where one is none."""
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            key = base64.b64decode(part, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError("each key must be 32 bytes in base64; make one with `ringback data-key`")
        keys.append(key)
    return tuple(keys)


def _bound_to(session_id: UUID, column: str) -> bytes:
    return session_id.bytes + column.encode()
