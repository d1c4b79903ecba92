"""A bucket gives its burst, and then its rate."""

from __future__ import annotations

from gateway.token_bucket import TokenBucket


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.takes(10.0) for _ in range(4)] == [True, True, True, False]
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.takes(10.0 + at / 2) for at in range(50)] == [True] * 50
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.takes(10.0) for _ in range(3)] == [True] * 3
    assert [bucket.takes(at) for at in (10.5, 11.0, 11.1)] == [True, True, False]


def test_what_is_refused_costs_no_more() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0)
    assert [bucket.takes(10.0) for _ in range(100)] == [True] + [False] * 99
    assert bucket.takes(11.0), "a flood does not put off what comes after it"
    assert not bucket.takes(11.0, 0.5)
    assert bucket.takes(11.5, 0.5)
