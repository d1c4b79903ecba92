"""An identity provider: signs tokens, good ones and all kinds of bad ones, and publishes its keys in a file."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://login.example.com/"
AUDIENCE = "ringback"
HOUR = 3_600


@dataclass
class Provider:
    """`folder` gets the file with the keys."""

    folder: Path
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65_537, 2_048))

    def settings(self) -> dict[str, str]:
        """Of a gateway that trusts it."""
        path = self.folder / "jwks.json"
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        path.write_text(
            json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}), encoding="utf-8"
        )
        return {
            "RINGBACK_JWT_JWKS": str(path),
            "RINGBACK_JWT_ISSUER": ISSUER,
            "RINGBACK_JWT_AUDIENCE": AUDIENCE,
        }

    def token(self, user: str, *, key: rsa.RSAPrivateKey | None = None, kid: str = "one", **claims: Any) -> str:
        """A good one, unless claims make it a bad one; a claim that is None is left out."""
        now = int(time.time())
        said = {"sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + HOUR, **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, key or self.key, algorithm="RS256", headers={"kid": kid})

    def unsigned(self, user: str, algorithm: str = "none") -> str:
        """A token that says of itself that it needs no signature."""
        _, payload, _ = self.token(user).split(".")
        return f"{_part({'alg': algorithm, 'typ': 'JWT', 'kid': 'one'})}.{payload}."

    def signed_with_the_public_key(self, user: str) -> str:
        """HS256, with the text of the public key as the shared secret: everybody has that."""
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _, payload, _ = self.token(user).split(".")
        head = _part({"alg": "HS256", "typ": "JWT", "kid": "one"})
        signature = hmac.new(pem, f"{head}.{payload}".encode(), hashlib.sha256).digest()
        return f"{head}.{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def changed(self, user: str, to: str) -> str:
        """A good signature under somebody else's name."""
        head, payload, signature = self.token(user).split(".")
        said = json.loads(base64.urlsafe_b64decode(payload + "=="))
        return f"{head}.{_part({**said, 'sub': to})}.{signature}"


def _part(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def strangers_key() -> rsa.RSAPrivateKey:
    """Of nobody that the gateway trusts."""
    return rsa.generate_private_key(65_537, 2_048)
