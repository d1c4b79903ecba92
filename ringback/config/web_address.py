"""Reader of the web addresses in settings and tool files.

`urllib` raises for some, tells of a bad port only when it is read, and quotes the password in its errors.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

SHAPE = "a host, and a port from 1 to 65535 if it names one"


def parts_of(url: str, *schemes: str) -> SplitResult | None:
    """Return the parts of the address; None if it has another scheme, or a host or port that can be none."""
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # or a connection would raise UnicodeError, which is no OSError
    except ValueError:
        return None
    return parts if parts.scheme in schemes and parts.hostname and port != 0 else None
