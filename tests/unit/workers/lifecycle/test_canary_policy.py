"""When a worker without a canary is deaf, and when it has an excuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workers.lifecycle.canary_policy import DEAF_SECONDS, GAP_SECONDS, LOOK_SECONDS, SEND_SECONDS, CanaryPolicy

PROMISED_SECONDS = 10.0


def looks(
    hearing: CanaryPolicy, start: float, *, redis: bool = True, free: bool = True
) -> Iterator[tuple[float, bool]]:
    """Yield look after look, without end."""
    while True:
        start += LOOK_SECONDS
        yield start, hearing.is_deaf(start, redis=redis, free=free)


def deaf_after(hearing: CanaryPolicy, start: float) -> float:
    return next(now for now, deaf in looks(hearing, start) if deaf) - start


def test_a_worker_that_never_hears_is_deaf_within_what_was_promised() -> None:
    assert DEAF_SECONDS < deaf_after(CanaryPolicy(0.0), 0.0) < PROMISED_SECONDS - SEND_SECONDS


@pytest.mark.parametrize(("redis", "free"), [(False, True), (True, False), (False, False)])
def test_a_worker_whose_redis_is_away_or_that_is_full_is_not_deaf(redis: bool, free: bool) -> None:
    hearing = CanaryPolicy(0.0)
    some = looks(hearing, 0.0, redis=redis, free=free)
    assert not any(next(some)[1] for _ in range(100))
    assert deaf_after(hearing, next(some)[0]) > DEAF_SECONDS, "it has all its time from then on"


def test_a_canary_that_is_heard_starts_the_time_anew() -> None:
    hearing = CanaryPolicy(0.0)
    some = looks(hearing, 0.0)
    for _ in range(100):
        now, deaf = next(some)
        assert not deaf
        hearing.received(now)


def test_a_process_that_stood_still_has_heard_nothing_for_that_reason() -> None:
    hearing = CanaryPolicy(0.0)
    assert not hearing.is_deaf(1.0, redis=True, free=True)
    assert not hearing.is_deaf(1.0 + 10 * DEAF_SECONDS, redis=True, free=True)
    assert DEAF_SECONDS > GAP_SECONDS > LOOK_SECONDS
