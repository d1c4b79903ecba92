"""What settings may say of an identity provider: algorithms that sign with a key pair, and safe sources of keys."""

from __future__ import annotations

from ringback.config.web_address import parts_of

FAMILIES = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
    "OKP": frozenset({"EdDSA"}),
}
"""Algorithms that settings may name, by kind of key: none with a shared secret, and not `none`."""
ALGORITHMS = frozenset().union(*FAMILIES.values())
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_safe_source(source: str) -> bool:
    """Return whether keys from this source cannot be changed on the way: https, http on loopback, or a file."""
    if "://" not in source:
        return bool(source)
    parts = parts_of(source, "http", "https")
    return parts is not None and (parts.scheme == "https" or parts.hostname in LOOPBACK)
