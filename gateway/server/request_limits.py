"""Decides which HTTP requests are refused by their head alone, before a route sees them. Pure.

A proxy between a client and the gateway may read an odd head differently, and pass on what it would refuse (request
smuggling). So a head that two servers can read differently is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.api import MAX_BODY_BYTES

MAX_HEAD_BYTES = 16 * 1_024
"""Of a request's first line and its headers: a token of an identity provider with its claims takes 4 KiB."""
MAX_HEADERS = 100
"""Lines. Browsers send twenty, proxies add ten."""
MAX_HEADER_BYTES = 8_000
"""Of one line; the WebSocket's own reader takes 8,192."""
MAX_TARGET_BYTES = 4_096
"""Of the path and the query: longer ones carry data, which belongs into a body."""

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """Why a request is refused: an HTTP status, and one sentence."""

    status: int
    sentence: str


def complaint(method: bytes, target: bytes, headers: Headers, sockets_at: Sequence[str]) -> RequestRejected | None:
    """Return what is wrong with the head, or None. `sockets_at` are the paths of the WebSocket, the usual one first."""
    if len(headers) > MAX_HEADERS:
        return RequestRejected(431, f"Send at most {MAX_HEADERS} headers.")
    if any(len(name) + len(value) + 4 > MAX_HEADER_BYTES for name, value in headers):
        return RequestRejected(431, f"Send no header longer than {MAX_HEADER_BYTES} bytes.")
    if sum(len(name) + len(value) + 4 for name, value in headers) + len(target) > MAX_HEAD_BYTES:
        return TOO_LONG
    if len(target) > MAX_TARGET_BYTES:
        return RequestRejected(414, f"Send an address of at most {MAX_TARGET_BYTES} bytes.")
    if method == b"CONNECT" or not target.startswith(b"/"):
        return RequestRejected(400, "Send a request for a path of this server; it is no proxy.")
    return _body(headers) or _upgrade(target, headers, sockets_at)


def _body(headers: Headers) -> RequestRejected | None:
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if lengths and codings:
        return RequestRejected(400, "Send Content-Length or Transfer-Encoding, and not both.")
    if len(lengths) > 1 or len(codings) > 1:
        return RequestRejected(400, "Say once how long the body is.")
    if lengths and not lengths[0].isdigit():
        return RequestRejected(400, "Send a Content-Length that is a number.")
    if lengths and (len(lengths[0]) > len(str(MAX_BODY_BYTES)) or int(lengths[0]) > MAX_BODY_BYTES):
        return TOO_LARGE
    return None


def _upgrade(target: bytes, headers: Headers, sockets_at: Sequence[str]) -> RequestRejected | None:
    wanted = [value.strip().lower() for name, value in headers if name == b"upgrade"]
    if not wanted:
        return None
    if wanted != [b"websocket"]:
        return RequestRejected(400, "This server speaks HTTP/1.1 and WebSocket; leave out the Upgrade header.")
    if target.partition(b"?")[0].decode("latin-1") not in sockets_at:
        return RequestRejected(400, f"There is no WebSocket here; it is at {sockets_at[0]}.")
    if any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in headers):
        return RequestRejected(400, "Send no body with the request for a WebSocket.")
    return None


TOO_LARGE = RequestRejected(413, f"Send a body of at most {MAX_BODY_BYTES} bytes.")
TOO_LONG = RequestRejected(431, f"Send at most {MAX_HEAD_BYTES} bytes of headers.")

TLS_RECORD = b"\x16\x03"
"""What a TLS client says first (RFC 8446, 5.1): a handshake, of version 3 of SSL or a later one."""
TLS_AT_PLAIN_PORT = (
    "a client began TLS at this port, which speaks plain HTTP: give it an address that begins with http:// or ws://; a "
    "client that insists on TLS, as openai for Node does, needs RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY "
    "(`ringback up --tls` makes them), or a proxy with TLS in front"
)
"""The log line when a client says so to a gateway without a certificate."""
