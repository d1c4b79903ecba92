"""What the settings may say of an identity provider: algorithms that sign with a key pair, and safe places for keys."""

from __future__ import annotations

from urllib.parse import urlsplit

FAMILIES = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
    "OKP": frozenset({"EdDSA"}),
}
"""The algorithms that may be named, by the kind of key that they need; none with a shared secret, and not `none`."""
ALGORITHMS = frozenset().union(*FAMILIES.values())
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_safe_source(source: str) -> bool:
    """True for https, for http on this machine, and for a file: keys that anybody may change on the way are none."""
    if "://" not in source:
        return bool(source)
    try:
        parts = urlsplit(source)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
