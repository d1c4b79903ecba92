"""When a process may no longer act on its own lease."""

from __future__ import annotations

import pytest

from ringback.lease import LeaseClock
from ringback.settings import LEASE_SECONDS, RENEW_SECONDS, STOP_BEFORE_SECONDS

BEGAN = 1_000.0


@pytest.mark.parametrize(
    ("seconds", "must_stop"),
    [(0.0, False), (RENEW_SECONDS, False), (STOP_BEFORE_SECONDS, False), (STOP_BEFORE_SECONDS + 0.01, True)],
)
def test_a_process_that_could_not_renew_stops(seconds: float, must_stop: bool) -> None:
    assert LeaseClock(BEGAN).must_stop(BEGAN + seconds) is must_stop


def test_it_stops_before_its_lease_runs_out_and_may_miss_a_renewal() -> None:
    assert RENEW_SECONDS < STOP_BEFORE_SECONDS < LEASE_SECONDS


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    lease = LeaseClock(BEGAN)
    lease.renewed(BEGAN + 1)
    assert not lease.must_stop(BEGAN + 1 + STOP_BEFORE_SECONDS)
    assert lease.must_stop(BEGAN + 1 + STOP_BEFORE_SECONDS + 0.01)


def test_a_process_that_comes_back_may_go_on() -> None:
    lease = LeaseClock(BEGAN)
    assert lease.must_stop(BEGAN + 60)
    lease.renewed(BEGAN + 60)
    assert not lease.must_stop(BEGAN + 60)
