"""A token of an identity provider: good by every rule, or refused in a sentence that says which."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.auth.authenticator import Principal
from gateway.auth.jwt import JwtRules, KeysById, NoSuchKey, header_of, is_one, verified
from gateway.errors import AuthenticationError
from tests.unit.gateway.auth.signing import AUDIENCE, RULES, claims, key_set, made_up, public_jwk, public_pem, signed


def judged(token: str, keys: str | None = None, rules: JwtRules = RULES) -> Principal:
    """Whose the token is, as the gateway finds out."""
    assert is_one(token)
    key = KeysById.read(keys or key_set()).find(header_of(token), rules.algorithms)
    return verified(token, key, rules)


@pytest.mark.parametrize(("name", "kind"), [("one", "RSA"), ("two", "EC")])
def test_a_good_token_names_its_user_tenant_scopes_and_the_claims_that_are_asked_for(name: str, kind: str) -> None:
    who = judged(signed(claims(), name, kind))
    assert (who.user, who.tenant, who.credential) == ("ada", "acme", "jwt:t-1")
    assert who.scopes == {"realtime", "openid", "orders:write", "history"}
    assert who.claims == {"plan": "gold", "scopes": ["history", "openid", "orders:write", "realtime"]}
    assert who.issued_at is not None
    assert abs(who.issued_at.timestamp() - time.time()) < 60


def test_whoever_signs_for_the_provider_gives_no_more_than_the_rules_let_it() -> None:
    token = signed(claims(scope=["admin", "trusted", "secrets", "control", "history", "realtime"]))
    assert judged(token).scopes == {"realtime", "history"}
    assert judged(token, rules=replace(RULES, gateway_scopes=frozenset())).scopes == {"realtime"}


def test_a_provider_has_no_token_say_that_its_user_is_on_the_phone() -> None:
    token = signed(claims(phone={"caller": "+4930222"}))
    assert judged(token, rules=replace(RULES, claims=("plan", "phone"))).claims.keys() == {"plan", "scopes"}


def test_without_a_claim_for_it_everybody_is_of_the_one_tenant() -> None:
    assert judged(signed(claims(org=None)), rules=replace(RULES, tenant_claim=None)).tenant == "default"


@pytest.mark.parametrize("aud", ["voice", [AUDIENCE], ["else", "voice"]])
def test_one_of_the_audiences_is_enough(aud: Any) -> None:
    assert judged(signed(claims(aud=aud))).user == "ada"


def test_where_there_is_one_key_a_token_need_not_name_it() -> None:
    assert judged(signed(claims(), kid=None), key_set(public_jwk("one"))).user == "ada"


@pytest.mark.parametrize("seconds", [-9, 9])
def test_clocks_may_differ_a_little(seconds: int) -> None:
    now = int(time.time())
    assert judged(signed(claims(exp=now + min(seconds, 0), iat=now + max(seconds, 0), nbf=now + max(seconds, 0))))


NOW = int(time.time())
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": NOW - 60}, "has expired"),
    "never ending": ({"exp": None}, "lacks a claim"),
    "ending at no time": ({"exp": "soon"}, "not valid"),
    "ending after all numbers": ({"exp": float("inf")}, "not valid"),
    "not yet valid": ({"nbf": NOW + 86_400}, "not valid yet"),
    "issued tomorrow": ({"iat": NOW + 86_400}, "not valid yet"),
    "for another audience": ({"aud": "https://other.example.com"}, "another audience"),
    "for a longer audience": ({"aud": AUDIENCE + "/"}, "another audience"),
    "for no audience": ({"aud": None}, "lacks a claim"),
    "for a list without ours": ({"aud": ["a", "b"]}, "another audience"),
    "of another issuer": ({"iss": "https://evil.example.com/"}, "another issuer"),
    "of a shorter issuer": ({"iss": "https://id.example.com"}, "another issuer"),
    "of no issuer": ({"iss": None}, "lacks a claim"),
    "of nobody": ({"sub": None}, "lacks a claim"),
    "of an empty name": ({"sub": ""}, "'sub' must be a text"),
    "of a name with a line break": ({"sub": "a\nb"}, "'sub' must be a text"),
    "of a name with a NUL": ({"sub": "a\x00"}, "'sub' must be a text"),
    "of a caller on the phone": ({"sub": "phone:+4930222"}, "may not begin with 'phone:'"),
    "of a long name": ({"sub": "x" * 201}, "'sub' must be a text"),
    "of no tenant": ({"org": None}, "'org' must be a text"),
    "of a tenant that is a list": ({"org": ["acme"]}, "'org' must be a text"),
    "with claims that no row holds": ({"plan": "\x00"}, "no NUL|hold no NUL"),
    "with claims that are no JSON": ({"plan": float("nan")}, "plain JSON"),
    "with claims that are too long": ({"plan": "x" * 5_000}, "4096 characters"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_token_that_breaks_a_rule_is_refused_with_the_rule(name: str) -> None:
    change, sentence = WRONG[name]
    with pytest.raises(AuthenticationError, match=sentence) as nobody:
        judged(signed(claims(**change)))
    assert nobody.value.status == 401


FORGED: dict[str, Callable[[], str]] = {
    "not signed": lambda: made_up({"alg": "none", "kid": "one"}, claims()),
    "not signed, in capitals": lambda: made_up({"alg": "NONE", "kid": "one"}, claims()),
    "not signed, said to be": lambda: made_up({"alg": "RS256", "kid": "one"}, claims()),
    "without an algorithm": lambda: made_up({"kid": "one"}, claims()),
    "with the public key as a secret": lambda: made_up({"alg": "HS256", "kid": "one"}, claims(), public_pem("one")),
    "with the key set as a secret": lambda: made_up({"alg": "HS256", "kid": "one"}, claims(), key_set().encode()),
    "with a key of its own, in its header": lambda: signed(
        claims(), "mallory", kid="one", jwk=public_jwk("mallory"), jku="https://evil.example.com/keys"
    ),
    "with somebody else's key": lambda: signed(claims(), "mallory", kid="one"),
    "with a key for another algorithm": lambda: signed(claims(), "two", "EC", kid="one"),
    "with an algorithm that is not named": lambda: signed(claims(), alg="RS512"),
    "with a stronger one of the same family": lambda: signed(claims(), alg="PS256"),
    "changed after it was signed": lambda: _tampered(signed(claims())),
    "with its signature cut off": lambda: signed(claims()).rpartition(".")[0] + ".",
    "with the signature of another": lambda: (
        signed(claims(sub="eve")).rpartition(".")[0] + "." + signed(claims()).rpartition(".")[2]
    ),
    "with a rule of its own that it calls critical": lambda: signed(claims(), crit=["mine"], mine=True),
    "that is no object": lambda: made_up({"alg": "RS256", "kid": "one"}, [1]),  # type: ignore[arg-type]
}


def _tampered(token: str) -> str:
    head, _, signature = token.split(".")
    return ".".join([head, made_up({}, claims(sub="eve")).split(".")[1], signature])


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_the_provider_did_not_sign_is_refused(name: str) -> None:
    with pytest.raises(AuthenticationError) as nobody:
        judged(FORGED[name]())
    assert nobody.value.status == 401


@pytest.mark.parametrize("kid", ["three", "", "../../etc/passwd", "one' OR '1'='1"])
def test_a_key_that_is_not_there_is_told_from_one_that_does_not_fit(kid: str) -> None:
    with pytest.raises(NoSuchKey):
        judged(signed(claims(), kid=kid))


def test_where_there_are_two_keys_a_token_must_name_its_own() -> None:
    with pytest.raises(NoSuchKey):
        judged(signed(claims(), kid=None))


def test_a_key_is_good_for_the_algorithm_that_it_is_for() -> None:
    with pytest.raises(AuthenticationError):
        judged(signed(claims()), key_set(public_jwk("one", alg="RS384")))
    with pytest.raises(AuthenticationError):
        judged(signed(claims(), "three", "P-384", alg="ES384"), key_set(public_jwk("three", "P-384")))
    rules = replace(RULES, algorithms=("ES384",))
    assert judged(signed(claims(), "three", "P-384"), key_set(public_jwk("three", "P-384")), rules).user == "ada"


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}]}',
        key_set(public_jwk("one", use="enc")),
        key_set(public_jwk("one", key_ops=["encrypt"])),
        key_set(public_jwk("one", alg="RSA-OAEP")),
        key_set({**public_jwk("one"), "n": None}),
        key_set({**public_jwk("one"), "kid": 7}),
        '{"keys": [' + ",".join(["{}"] * 101) + "]}",
    ],
)
def test_a_key_set_without_a_key_that_signs_is_none(keys: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        KeysById.read(keys)


@pytest.mark.parametrize(
    "token", ["", "eyJ", "eyJh.x", "a.b.c", "rb_sk_x.y.z", "eyJ" + "a" * 9_000 + ".e30.x", "eyJä.e30.x"]
)
def test_what_does_not_look_like_a_token_is_none(token: str) -> None:
    assert not is_one(token)
