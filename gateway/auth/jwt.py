"""A token of an identity provider (JWT, RFC 7519), held against the provider's keys and our rules.

The rules name the algorithms; what a token says of its own is only ever compared with them, and a key is used for its
own family alone. An algorithm that signs with a shared secret cannot be named, so that a public key is never taken for
one. (RFC 8725.)
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
from gateway.auth.claims import checked
from gateway.auth.jwt_settings import ALGORITHMS, FAMILIES
from gateway.errors import AuthenticationError, GatewayError
from ringback.tables import DEFAULT_TENANT

LEEWAY_SECONDS = 10.0
"""By how much the provider's clock may differ from ours."""
MAX_CHARS = 8_192
"""Of a token: it is carried in a header, and read before anybody knows whose it is."""
MAX_KEYS = 100
"""Of a provider: they have two or three, and a few while they change them."""
MAX_USER = 200
"""Characters of a user's or a tenant's name."""
MAX_SCOPES = 64
"""Of one token."""
_LOOKS = re.compile(r"eyJ[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]*={0,2}")
_DECODER = jwt.PyJWT(options={"enforce_minimum_key_length": True})


class NoSuchKey(GatewayError):
    """The provider has no key of that name, as far as we know; it may have one by now."""


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What is asked of a token.

    Args:
        issuer: `iss`, letter by letter.
        audience: `aud` must name one of these.
        algorithms: of `ALGORITHMS`.
        user_claim: which claim is the user's name.
        tenant_claim: which claim is the tenant's; None: they are all of the tenant `default`.
        scope_claim: which claim lists the scopes: a text with spaces, or a list.
        gateway_scopes: those of `gateway.auth.authenticator.SCOPES` that the provider may give; it always gives
        `realtime`.
        claims: which others are handed to tools.
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
    """A provider's public keys: those that sign, and that the rules have a use for."""

    known: Mapping[str | None, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | bytes) -> KeysById:
        """Keys as a JWK set has them (RFC 7517); those that we cannot use are left out.

        Raises:
            ValueError: it is no JWK set, or holds no key that can be used.
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
        """The key for a token with this header.

        Raises:
            AuthenticationError: the token asks for what is not allowed.
            NoSuchKey: there is no such key.
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
    """True where it looks like a JWT."""
    return len(token) <= MAX_CHARS and _LOOKS.fullmatch(token) is not None


def header_of(token: str) -> dict[str, Any]:
    """What the token says of how it is signed: to be believed by nobody."""
    try:
        return jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise AuthenticationError("The token is no JWT that can be read.") from None


def verified(token: str, key: PyJWK, rules: JwtRules) -> Principal:
    """Whose the token is, by the rules.

    Raises:
        AuthenticationError: it is not valid, or says too little; one sentence says why.
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
        handed_on = checked({name: claims[name] for name in rules.claims if name in claims})
    except ValueError as problem:
        raise AuthenticationError(f"The token's {problem}.") from None
    said = claims.get("jti") or hashlib.sha256(token.encode()).hexdigest()[:32]
    return principal(
        _name(claims.get(rules.user_claim), rules.user_claim),
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
    """What the token gives: for tools all of it, of the gateway's own what the rules let it give."""
    listed = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    given = {scope for scope in listed[:MAX_SCOPES] if isinstance(scope, str) and scope.isprintable()}
    return frozenset({REALTIME, *((given - set(SCOPES)) | (given & rules.gateway_scopes))})


def _moment(issued: Any) -> datetime:
    """When it was issued; one that does not say so was issued before everything."""
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
    """True for a public key of a kind that we take, unless it says that it is for something else."""
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
    """The one key there is: a token that names none can mean no other."""
    return next(iter(known.values())) if len(known) == 1 else None
