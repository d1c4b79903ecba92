"""Decides which web pages may connect, and finds tokens in URLs.

A browser sends `Origin` with every WebSocket and every request that may change rows, and a page cannot forge it. It is
compared as a whole: no suffix, no pattern, no case, no default port. A client without `Origin` is not a browser, and is
checked by its token alone. No answer has a CORS header, so a foreign page can read no answer; but that of a call, which
a page of the operator's places (`gateway.api.calls`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change no row. OPTIONS has a route for calls alone: any other preflight is refused."""
LOOPBACK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[1-9][0-9]{0,4})?")
"""Pages of this machine, in development."""
NAMES_OF_TOKENS = frozenset(
    {
        *("token", "access_token", "accesstoken", "auth", "authorization", "bearer", "api_key", "apikey", "api-key"),
        *("key", "secret", "client_secret", "ek", "jwt", "id_token", "password", "ticket", "ringback-resume", "resume"),
        "resume_token",
    }
)
LOOKS_OF_TOKENS = re.compile(r"(?:bearer\s+)?(?:rb_|ek_|sk-|eyJ)", re.IGNORECASE)
"""How a token begins: the gateway's, OpenAI's, a JWT. Compared with the value of every parameter."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(text: str) -> str:
    """Return the origin as a browser sends it.

    Raises:
        ValueError: it is not an origin, or not written as a browser writes it; the text says what to write.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"{text!r} is not an origin: write https://app.example.com or https://app.example.com:8443"
        ) from None
    host = parts.hostname or ""
    if parts.scheme not in DEFAULT_PORTS or not host or "@" in parts.netloc or "*" in host:
        raise ValueError(f"{text!r} is not an origin: write https://app.example.com or https://app.example.com:8443")
    host = f"[{host}]" if ":" in host else host
    suffix = "" if port is None or port == DEFAULT_PORTS[parts.scheme] else f":{port}"
    written = f"{parts.scheme}://{host}{suffix}"
    if not written.isascii():
        written = f"{parts.scheme}://{host.encode('idna').decode()}{suffix}"
    if written != text:
        raise ValueError(f"{text!r} is not how a browser writes it: write {written}")
    return written


def may_ask(origins: Sequence[str], allowed: Iterable[str], *, loopback: bool) -> bool:
    """Return whether a request with these `Origin` headers may go on.

    Args:
        origins: the headers as they came; none: not a browser.
        loopback: whether pages of this machine may ask.
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    return origins[0] in allowed or (loopback and LOOPBACK.fullmatch(origins[0]) is not None)


def token_in(query: str) -> str | None:
    """Return the name of the query's parameter that is a token, by its name or its value; None if there is none."""
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.lower() in NAMES_OF_TOKENS or LOOKS_OF_TOKENS.match(value):
            return name
    return None
