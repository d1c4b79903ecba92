"""Encryption of redacted values, for the worker that runs the call and for the conversation that asked.

AES-256-GCM. The session and the column are authenticated with the value, so that a value copied into another row cannot
be decrypted there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ringback.errors import RingbackError

KEY_BYTES = 32
NONCE_BYTES = 12
"""Random: one key encrypts 2**32 values before two nonces are likely to collide (NIST SP 800-38D, 8.3)."""
MARK_BYTES = 4
"""First bytes of the key's hash: they tell which of several keys encrypted a value."""
VERSION = b"\x01"


class DecryptionFailed(RingbackError):
    """Error of a value that no key of this process decrypts: another key encrypted it, or it was changed."""


class FieldCipher:
    """Cipher with one or more keys: the first encrypts, and each decrypts.

    Args:
        keys: of 32 bytes each.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        # Only a process that has a key loads the cryptography package.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers = {hashlib.sha256(key).digest()[:MARK_BYTES]: AESGCM(key) for key in keys}

    def __repr__(self) -> str:
        return f"FieldCipher({len(self._ciphers)} keys)"

    def encrypt(self, value: Any, session_id: UUID, column: str) -> bytes:
        """Encrypt JSON data for that column of a row of that session."""
        mark, cipher = next(iter(self._ciphers.items()))
        nonce, plain = os.urandom(NONCE_BYTES), json.dumps(value, ensure_ascii=False).encode()
        return VERSION + mark + nonce + cipher.encrypt(nonce, plain, _bound_to(session_id, column))

    def decrypt(self, sealed: bytes, session_id: UUID, column: str) -> Any:
        """Decrypt a value.

        Raises:
            DecryptionFailed: another key encrypted it, it belongs to another place, or it was changed.
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
    """Return a new key as RINGBACK_DATA_KEY takes it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def keys_in(text: str) -> tuple[bytes, ...]:
    """Parse the keys of a comma-separated list. If one is invalid, ValueError, which does not quote it."""
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            key = base64.b64decode(part, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError("each key must be 32 bytes in base64; make one with `ringback data-key`")
        keys.append(key)
    return tuple(keys)


def _bound_to(session_id: UUID, column: str) -> bytes:
    return session_id.bytes + column.encode()
