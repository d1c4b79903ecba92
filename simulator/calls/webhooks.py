"""Tells a webhook of an incoming call, signed by the Standard Webhooks specification, again until it is taken."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.wire import new_id

ATTEMPTS = 5
_FIRST_PAUSE_S = 0.2
_PREFIX = "whsec_"


class WebhookError(ValueError):
    """The secret is none; the message says what one looks like."""


@dataclass(frozen=True)
class Delivery:
    """What became of a webhook: the last status, None if no connection came about, after so many attempts."""

    status: int | None
    attempts: int


def key_of(secret: str) -> bytes:
    """Return the key in a secret.

    Raises:
        WebhookError: it is no secret.
    """
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise WebhookError(f"The webhook's secret must be {_PREFIX} and base64.") from None


def signed(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of one delivery."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "user-agent": "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def incoming_call(call_id: str, headers: Mapping[str, str]) -> bytes:
    """Return the body that tells of a ringing call; ``headers`` are those of the caller's INVITE."""
    event = {
        "id": new_id("evt"),
        "object": "event",
        "created_at": int(time.time()),
        "type": "realtime.call.incoming",
        "data": {
            "call_id": call_id,
            "sip_headers": [{"name": name, "value": value} for name, value in headers.items()],
        },
    }
    return json.dumps(event).encode()


async def deliver(url: str, secret: str, body: bytes, *, repeat: int = 1) -> Delivery:
    """Post a body until it is taken, each time under the same id.

    Args:
        url: the receiver's.
        secret: shared with it.
        body: JSON.
        repeat: how often it is delivered though it was taken: a sender may miss an answer.
    """
    import httpx  # as late as this: few simulators ring, and all of them start

    key, webhook_id = key_of(secret), f"wh_{secrets.token_hex(12)}"
    status: int | None = None
    taken = 0
    async with httpx.AsyncClient(trust_env=False) as client:
        for attempt in range(ATTEMPTS + repeat):
            try:
                answer = await client.post(url, content=body, headers=signed(key, webhook_id, int(time.time()), body))
                status = answer.status_code
                taken += answer.is_success
            except httpx.TransportError:
                status = None
            if taken >= repeat:
                return Delivery(status, attempt + 1)
            if not taken:
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
    return Delivery(status, ATTEMPTS + repeat)
