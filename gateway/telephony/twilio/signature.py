"""Signatures of Twilio's requests: HMAC-SHA1 over the URL and the form (Twilio, "Validating requests"). Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit, urlunsplit

HEADER = "x-twilio-signature"
PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def signature(token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """Return the signature of a request.

    Args:
        token: the account's auth token.
        url: as Twilio was told it, with its query.
        form: names and values of a POST; a GET has none.
    """
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def is_signed(given: str, tokens: Sequence[str], url: str, form: Sequence[tuple[str, str]] = ()) -> bool:
    """Return whether one of the tokens has signed the request, over the URL with or without its port."""
    expected = [signature(token, each, form).encode() for token in tokens for each in _spellings(url)]
    found = [hmac.compare_digest(each, given.encode("utf-8", "replace")) for each in expected]
    return any(found)


def _spellings(url: str) -> Iterator[str]:
    """Yield the URL as it is, and with its port added or left out: Twilio's products differ in that."""
    yield url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if parts.port is not None:
        yield urlunsplit(parts._replace(netloc=host))
    elif parts.scheme in PORTS:
        yield urlunsplit(parts._replace(netloc=f"{host}:{PORTS[parts.scheme]}"))
