"""Signatures of webhooks by the Standard Webhooks specification (https://www.standardwebhooks.com). Pure."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode

from gateway.errors import GatewayError

PREFIX = "whsec_"
LEAST_BYTES = 24
"""Of a secret, by the specification: a secret that can be guessed proves no sender."""


class BadSecret(GatewayError):
    """The text is not a secret; the message says what one looks like."""


def key_of(secret: str) -> bytes:
    """Return the key in a secret: base64 of 24 bytes or more, with or without `whsec_` before it.

    Raises:
        BadSecret: the text is not a secret.
    """
    try:
        key = b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < LEAST_BYTES:
        raise BadSecret(f"a secret is {PREFIX} and base64 of {LEAST_BYTES} bytes or more, as `openssl rand -base64 32`")
    return key


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that go with `body`.

    Args:
        message_id: the same each time the message is sent, so that a receiver can recognise a repetition.
        timestamp: of this attempt, in Unix seconds: a receiver refuses old messages.
    """
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
