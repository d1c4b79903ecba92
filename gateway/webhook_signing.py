"""Signatures of webhooks by the Standard Webhooks specification (https://www.standardwebhooks.com), both ways. Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping

from gateway.errors import GatewayError

PREFIX = "whsec_"
VERSION = "v1,"
"""Begins each signature that is a HMAC-SHA256."""
WINDOW_SECONDS = 300
"""A message that is older, or comes from so far in the future, is refused: it may be one that was recorded."""
MAX_ID_CHARS = 256
MAX_SIGNATURES = 16
"""In one header: a sender whose secret is being replaced signs with two."""
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
    except ValueError:
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


def refusal(keys: Iterable[bytes], headers: Mapping[str, str], body: bytes, now: float) -> str | None:
    """Return why a message is not one of the sender's, in a word for the log; None if it is.

    Args:
        keys: of the sender's secrets; one of them has to fit.
        headers: names in lower case.
        body: as it came, byte for byte.
        now: Unix seconds.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split()[:MAX_SIGNATURES]
    if not (message_id and len(message_id) <= MAX_ID_CHARS and message_id.isascii() and message_id.isprintable()):
        return "no_id"
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return "no_timestamp"
    made = [signed_headers(key, message_id, int(timestamp), body)["webhook-signature"].encode() for key in keys]
    fits = [hmac.compare_digest(own, each.encode()) for own in made for each in given if each.startswith(VERSION)]
    if not any(fits):
        return "wrong_signature"
    return "too_old" if abs(now - int(timestamp)) > WINDOW_SECONDS else None
