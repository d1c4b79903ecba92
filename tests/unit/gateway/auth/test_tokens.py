"""Tokens of our own: told by their looks, never the same twice, and kept as a hash alone."""

from __future__ import annotations

import pytest

from gateway.auth.tokens import Kind, digest, kind_of, new


@pytest.mark.parametrize("kind", [Kind.KEY, Kind.SECRET])
def test_a_new_token_is_of_its_kind_and_of_no_other(kind: Kind) -> None:
    made = {new(kind) for _ in range(100)}
    assert len(made) == 100
    assert {kind_of(token) for token in made} == {kind}
    assert len({digest(token) for token in made}) == 100


@pytest.mark.parametrize("change", [lambda t: t + "x", lambda t: t[:-1], lambda t: t.upper(), lambda t: t[:-1] + "\n"])
@pytest.mark.parametrize("kind", [Kind.KEY, Kind.SECRET])
def test_what_only_looks_alike_is_none(kind: Kind, change: object) -> None:
    assert callable(change)
    assert kind_of(change(new(kind))) is Kind.OTHER


@pytest.mark.parametrize("token", ["", "rb_sk_", "ek_", "sk-proj-1234", "rb_" + "a" * 43, "\ud800", "ek_" + "ä" * 43])
def test_what_is_no_token_of_ours_is_none_and_has_a_hash_all_the_same(token: str) -> None:
    assert kind_of(token) is Kind.OTHER
    assert len(digest(token)) == 32
