"""Verifies a JWT (RFC 7519) of an identity provider by the provider's keys and the gateway's rules.

The rules name the algorithms. The token's header is only compared with them, and a key is used for its own family of
algorithms alone. No rule can name an algorithm with a shared secret, so a public key is never taken for one (RFC 8725).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt import PyJWK

from gateway.auth.authenticator import REALTIME, SCOPES, Principal, principal
from gateway.auth.claims import PHONE, PHONE_USER, RESERVED, checked
from gateway.auth.jwt_settings import ALGORITHMS, FAMILIES
from gateway.errors import AuthenticationError, GatewayError
from ringback.tables import DEFAULT_TENANT

LEEWAY_SECONDS = 10.0
"""How far the provider's clock may differ from the gateway's."""
MAX_CHARS = 8_192
"""Of a token: it comes in a header, and is read before its user is known."""
MAX_KEYS = 100
"""Keys of a provider: usual are two or three, and a few more while they are rotated."""
MAX_USER = 200
"""Characters of a user's or a tenant's name."""
MAX_SCOPES = 64
"""Of one token."""
_LOOKS = re.compile(r"eyJ[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]*={0,2}")
_DECODER = jwt.PyJWT(options={"enforce_minimum_key_length": True})


class NoSuchKey(GatewayError):
    """The gateway knows no key of that name; the provider may have a new one."""


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What a token must say.

    Args:
        issuer: `iss`, compared exactly.
        audience: `aud` must name one of these.
        algorithms: of `ALGORITHMS`.
        user_claim: the claim that holds the user's name.
        tenant_claim: the claim that holds the tenant; None: every user is of the tenant `default`.
        scope_claim: the claim that lists the scopes: a text with spaces, or a list.
        gateway_scopes: those of `gateway.auth.authenticator.SCOPES` that the provider may give; it always gives
        `realtime`.
        claims: further claims that are handed to tools, but for `phone`, which is for calls on the phone.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    user_claim: str = "sub"
    tenant_claim: str | None = None
    scope_claim: str = "scope"
    gateway_scopes: frozenset[str] = frozenset()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeysById:
    """A provider's public keys that sign by an algorithm of the rules."""

    known: Mapping[str | None, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | bytes) -> KeysById:
        """Read a JWK set (RFC 7517); keys that the gateway cannot use are left out.

        Raises:
            ValueError: it is not a JWK set, or holds no usable key.
        """
        document = json.loads(text)
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise ValueError(f"it is no JWK set of at most {MAX_KEYS} keys")
        usable = {key.get("kid"): key for key in listed if isinstance(key, dict) and _signs(key)}
        if not usable:
            raise ValueError("it holds no public key that signs")
        return cls(usable)

    def find(self, header: Mapping[str, Any], algorithms: Iterable[str]) -> PyJWK:
        """Return the key for a token with this header.

        Raises:
            AuthenticationError: the token names an algorithm that is not allowed.
            NoSuchKey: no key has the name in the header.
        """
        algorithm, name = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHMS:
            raise AuthenticationError("The token is signed by an algorithm that is not taken here.")
        found = self.known.get(name) if name is not None else _only(self.known)
        if found is None:
            raise NoSuchKey
        if algorithm not in FAMILIES[found["kty"]] or found.get("alg", algorithm) != algorithm:
            raise AuthenticationError("The token is signed by an algorithm that its key is not for.")
        try:
            return PyJWK(dict(found), algorithm)
        except (jwt.PyJWTError, ValueError):
            raise AuthenticationError("The token is signed by an algorithm that its key is not for.") from None


def is_one(token: str) -> bool:
    """Return whether the token looks like a JWT."""
    return len(token) <= MAX_CHARS and _LOOKS.fullmatch(token) is not None


def header_of(token: str) -> dict[str, Any]:
    """Return the token's header, which is not verified."""
    try:
        return jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise AuthenticationError("The token is no JWT that can be read.") from None


def verified(token: str, key: PyJWK, rules: JwtRules) -> Principal:
    """Return whose the token is, by the rules.

    Raises:
        AuthenticationError: the token is not valid, or lacks a claim; one sentence says why.
    """
    try:
        claims = _DECODER.decode(
            token,
            key,
            algorithms=list(rules.algorithms),
            audience=list(rules.audience),
            issuer=rules.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "aud", "iss", rules.user_claim]},
        )
    except jwt.InvalidTokenError as problem:
        raise AuthenticationError(_sentence(problem)) from None
    except (jwt.PyJWTError, ValueError, OverflowError):
        raise AuthenticationError("The token cannot be verified.") from None
    return _principal(token, claims, rules)


def _principal(token: str, claims: Mapping[str, Any], rules: JwtRules) -> Principal:
    named = claims.get(rules.tenant_claim) if rules.tenant_claim else DEFAULT_TENANT
    try:
        handed_on = checked({name: claims[name] for name in rules.claims if name in claims and name != PHONE})
    except ValueError as problem:
        raise AuthenticationError(f"The token's {problem}.") from None
    user = _name(claims.get(rules.user_claim), rules.user_claim)
    if user.startswith(PHONE_USER):
        raise AuthenticationError(f"The token's claim {rules.user_claim!r} is refused: {RESERVED}.")
    said = claims.get("jti") or hashlib.sha256(token.encode()).hexdigest()[:32]
    return principal(
        user,
        _name(named, rules.tenant_claim or "tenant"),
        _scopes(claims.get(rules.scope_claim), rules),
        handed_on,
        credential=f"jwt:{_name(said, 'jti')}",
        issued_at=_moment(claims.get("iat")),
    )


def _name(value: Any, claim: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_USER or not value.isprintable():
        raise AuthenticationError(
            f"The token's claim {claim!r} must be a text of 1 to {MAX_USER} printable characters."
        )
    return value


def _scopes(value: Any, rules: JwtRules) -> frozenset[str]:
    """Return the token's scopes: all of those for tools, and the gateway's own that the rules allow."""
    listed = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    given = {scope for scope in listed[:MAX_SCOPES] if isinstance(scope, str) and scope.isprintable()}
    return frozenset({REALTIME, *((given - set(SCOPES)) | (given & rules.gateway_scopes))})


def _moment(issued: Any) -> datetime:
    """Return when the token was issued; a token that does not say so counts as the oldest."""
    try:
        return datetime.fromtimestamp(max(0, int(issued)), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _sentence(problem: jwt.InvalidTokenError) -> str:
    for kind, sentence in SENTENCES.items():
        if isinstance(problem, kind):
            return sentence
    return "The token is not valid."


SENTENCES: dict[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "The token has expired. Get a new one, and connect again.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is of another issuer.",
    jwt.MissingRequiredClaimError: "The token lacks a claim that is required: exp, aud, iss, and the user's name.",
    jwt.InvalidSignatureError: "The token is not signed by its issuer.",
    jwt.InvalidAlgorithmError: "The token is signed by an algorithm that is not taken here.",
}


def _signs(key: Mapping[str, Any]) -> bool:
    """Return whether it is a public key of a supported kind, and is for signatures."""
    kind, name = key.get("kty"), key.get("kid")
    if kind not in FAMILIES or key.get("use", "sig") != "sig" or not isinstance(name, str | None):
        return False
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    try:
        PyJWK(dict(key))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return False
    return "d" not in key


def _only(known: Mapping[str | None, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the only key, if there is one: a token without a key name can mean no other."""
    return next(iter(known.values())) if len(known) == 1 else None
