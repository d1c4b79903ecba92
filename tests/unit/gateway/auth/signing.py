"""An identity provider for tests: its key pairs, and tokens that it signs, or that somebody else makes up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from gateway.auth.jwt import JwtRules

ISSUER, AUDIENCE = "https://id.example.com/", "https://voice.example.com"
RULES = JwtRules(
    issuer=ISSUER,
    audience=(AUDIENCE, "voice"),
    algorithms=("RS256", "ES256"),
    tenant_claim="org",
    gateway_scopes=frozenset({"history"}),
    claims=("plan", "email"),
)


@cache
def key_pair(name: str, kind: str = "RSA") -> Any:
    """The private key of that name: the same each time."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return ec.generate_private_key({"EC": ec.SECP256R1(), "P-384": ec.SECP384R1()}[kind])


def public_jwk(name: str, kind: str = "RSA", **more: Any) -> dict[str, Any]:
    """The public half, as a key set has it."""
    algorithm: Any = jwt.algorithms.RSAAlgorithm if kind == "RSA" else jwt.algorithms.ECAlgorithm
    return {**algorithm.to_jwk(key_pair(name, kind).public_key(), as_dict=True), "kid": name, "use": "sig", **more}


def public_pem(name: str) -> bytes:
    return bytes(
        key_pair(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def key_set(*keys: Mapping[str, Any]) -> str:
    return json.dumps({"keys": [*keys] or [public_jwk("one"), public_jwk("two", "EC")]})


def claims(**more: Any) -> dict[str, Any]:
    """Those of a token that is good; None takes one away."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "org": "acme",
        "iat": now,
        "exp": now + 86_400,  # made when a test is collected, used when it is run
        "scope": "openid orders:write history admin",
        "plan": "gold",
        "secret": "for nobody's eyes",
        "jti": "t-1",
    }
    return {name: value for name, value in {**good, **more}.items() if value is not None}


def signed(said: Mapping[str, Any], name: str = "one", kind: str = "RSA", **header: Any) -> str:
    """A token that the provider has signed."""
    private: PrivateKeyTypes = key_pair(name, kind)
    algorithm = header.pop("alg", {"RSA": "RS256", "EC": "ES256", "P-384": "ES384"}[kind])
    headers = {"kid": name, **header}
    return jwt.encode(dict(said), private, algorithm, {k: v for k, v in headers.items() if v is not None})  # type: ignore[arg-type]


def made_up(header: Mapping[str, Any], said: Mapping[str, Any], secret: bytes | None = None) -> str:
    """A token of somebody who knows no private key: not signed, or with a secret of their own."""
    parts = ".".join(_base64(json.dumps(part).encode()) for part in (header, said))
    signature = b"" if secret is None else hmac.new(secret, parts.encode(), hashlib.sha256).digest()
    return f"{parts}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
