"""Checks before production: facts in, sentences out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.config.production import Facts, Front, complaints, refuse
from ringback.errors import ConfigurationError

TOKEN = "rb_qJ5mM0hTz3nYb8KxW2cLrE7uVfA1sDgP"
FRONT = Front(
    host="127.0.0.1",
    is_behind_tls=False,
    tokens={"me": TOKEN},
    is_simulated=False,
    upstream_url=None,
    api_key="sk-proj-abc",
)
GOOD = Facts(
    database_url="postgresql+psycopg://ringback:8sj2Ks0q@db.internal:5432/ringback",
    redis_url="rediss://ringback:0aPq2mZx@cache.internal:6379/0",
    redis_is_open=False,
    front=FRONT,
)

SAFE = [
    GOOD,
    replace(GOOD, front=None),
    replace(GOOD, redis_is_open=None),
    replace(GOOD, database_url="postgresql+psycopg://ringback@/postgres?host=/run/postgresql"),
    replace(GOOD, front=replace(FRONT, tokens={})),
    replace(GOOD, front=replace(FRONT, host="0.0.0.0", is_behind_tls=True)),
    replace(GOOD, front=replace(FRONT, host="::1")),
    replace(GOOD, front=replace(FRONT, host="localhost")),
    replace(GOOD, front=replace(FRONT, api_key="", upstream_url="wss://voices.example/v1")),
    replace(GOOD, front=replace(FRONT, upstream_url="ws://127.0.0.1:9/v1")),
]

UNSAFE = [
    (
        replace(GOOD, database_url="postgresql+psycopg://ringback:ringback@db/x"),
        "DATABASE_URL has a well-known password",
    ),
    (replace(GOOD, database_url="postgresql+psycopg://app:app@db/x"), "DATABASE_URL has a well-known password"),
    (replace(GOOD, database_url="postgresql+psycopg://app:change%2Dme@db/x"), "DATABASE_URL has a well-known password"),
    (replace(GOOD, database_url="postgresql+psycopg://app@db/x"), "DATABASE_URL has a well-known password"),
    (replace(GOOD, redis_url="redis://cache:6379/0"), "REDIS_URL has no password"),
    (replace(GOOD, redis_url="redis://ringback:@cache:6379/0"), "REDIS_URL has no password"),
    (replace(GOOD, redis_url="redis://ringback:ringback@cache:6379/0"), "REDIS_URL has a well-known password"),
    (replace(GOOD, redis_url="redis://:redis@cache:6379/0"), "REDIS_URL has a well-known password"),
    (replace(GOOD, redis_is_open=True), "lets clients in without a password"),
    (replace(GOOD, front=replace(FRONT, tokens={"demo": "ringback-development"})), "gives demo a well-known token"),
    (replace(GOOD, front=replace(FRONT, tokens={"me": "x" * 23})), "gives me a token of less than 24 characters"),
    (replace(GOOD, front=replace(FRONT, host="0.0.0.0")), "RINGBACK_HOST=0.0.0.0 can be reached from elsewhere"),
    (replace(GOOD, front=replace(FRONT, host="gateway.internal")), "RINGBACK_HOST=gateway.internal can be reached"),
    (replace(GOOD, front=replace(FRONT, is_simulated=True)), "REALTIME_PROVIDER is the simulator"),
    (replace(GOOD, front=replace(FRONT, api_key="change-me")), "REALTIME_API_KEY is a placeholder"),
    (replace(GOOD, front=replace(FRONT, upstream_url="ws://voices.example/v1")), "the key would travel in clear"),
]


@pytest.mark.parametrize("facts", SAFE, ids=range(len(SAFE)))
def test_what_is_safe_is_not_complained_of(facts: Facts) -> None:
    assert complaints(facts) == ()


@pytest.mark.parametrize(("facts", "sentence"), UNSAFE, ids=[sentence for _, sentence in UNSAFE])
def test_what_is_not_is_told_in_one_sentence_without_the_secret(facts: Facts, sentence: str) -> None:
    (said,) = complaints(facts)
    assert sentence in said
    assert said.endswith(".")
    for secret in (TOKEN, "8sj2Ks0q", "0aPq2mZx", "sk-proj-abc", "x" * 23):
        assert secret not in said


def test_all_of_it_is_told_at_once_and_in_production_alone() -> None:
    bad = replace(GOOD, redis_is_open=True, front=replace(FRONT, is_simulated=True, host="0.0.0.0"))
    refuse("development", bad)
    refuse("production", GOOD)
    with pytest.raises(ConfigurationError) as refused:
        refuse("production", bad)
    said = str(refused.value)
    assert said.startswith("RINGBACK_MODE=production does not start like this. ")
    assert [word in said for word in ("without a password", "simulator", "RINGBACK_BEHIND_TLS")] == [True] * 3


def test_no_secret_shows_in_the_facts() -> None:
    assert all(secret not in repr(GOOD) for secret in (TOKEN, "8sj2Ks0q", "0aPq2mZx", "sk-proj-abc"))
