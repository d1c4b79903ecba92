"""Receive the answers that came after their caller had hung up: see docs/how-to/receive-late-results.md.

    LATE_RESULTS_SECRET=whsec_… python examples/receive_late_results.py 8099

with the agent's file saying where, and what holds the same secret for the gateway:

    [webhook]
    url = "http://127.0.0.1:8099/"
    secret_env = "LATE_RESULTS_SECRET"

It prints a line for each result that came after its session:

    order_status succeeded: {"order_id": "A-101", "status": "baked"}
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

TOLERANCE_SECONDS = 300
"""An older message may have been recorded, and be replayed by an attacker."""


class Forged(Exception):
    """The sender of the message does not know the secret, or the message is old."""


def verified(headers: Mapping[str, str] | Message, body: bytes, secret: str) -> dict[str, Any]:
    """What the gateway sent. `body` as it came, byte for byte: before anything reads it as JSON."""
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise Forged("too old, or from the future")
    key = b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + b64encode(digest).decode()
    # There may be several, while a secret is being changed.
    if not any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split()):
        raise Forged("the signature is another")
    return json.loads(body)  # type: ignore[no-any-return]


HAD: set[str] = set()
"""Messages that were taken; in life a table with a unique column. The same one may come again."""


class Receiver(BaseHTTPRequestHandler):
    """Answers at once; what takes time comes after."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = verified(self.headers, body, os.environ["LATE_RESULTS_SECRET"])
        except (Forged, KeyError, ValueError):
            self.send_error(401)
            return
        if self.headers["webhook-id"] not in HAD:
            HAD.add(self.headers["webhook-id"])
            job = event["data"]
            print(f"{job['tool']} {job['state']}: {json.dumps(job['result'] or job['error'])}", flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
