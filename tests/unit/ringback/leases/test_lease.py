"""When a process may no longer act on its lease, and what held it up."""

from __future__ import annotations

import pytest

from ringback.errors import ConfigurationError
from ringback.leases.lease import HELD_UP_SECONDS, OFTEN_SECONDS, SHED_SECONDS, HoldUps, LeaseClock, LeaseTimes

BEGAN = 1_000.0
TIMES = LeaseTimes()
TICK = 0.1


@pytest.mark.parametrize(
    ("seconds", "must_stop"),
    [(0.0, False), (TIMES.renew, False), (TIMES.stop_after, False), (TIMES.stop_after + 0.01, True)],
)
def test_a_process_that_could_not_renew_stops(seconds: float, must_stop: bool) -> None:
    assert LeaseClock(BEGAN).must_stop(BEGAN + seconds) is must_stop


def test_a_process_is_silent_for_as_long_as_it_could_not_renew() -> None:
    lease = LeaseClock(BEGAN)
    assert not lease.is_silent(BEGAN + 1.9, 2.0)
    assert lease.is_silent(BEGAN + 2.0, 2.0)
    lease.renewed(BEGAN + 2.1)
    assert not lease.is_silent(BEGAN + 2.2, 2.0)


def test_it_stops_before_its_lease_runs_out_and_may_miss_a_renewal() -> None:
    assert 2 * TIMES.renew <= TIMES.stop_after < TIMES.seconds


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    lease = LeaseClock(BEGAN)
    lease.renewed(BEGAN + 1)
    assert not lease.must_stop(BEGAN + 1 + TIMES.stop_after)
    assert lease.must_stop(BEGAN + 1 + TIMES.stop_after + 0.01)


def test_a_process_that_comes_back_may_go_on() -> None:
    lease = LeaseClock(BEGAN)
    assert lease.must_stop(BEGAN + 60)
    lease.renewed(BEGAN + 60)
    assert not lease.must_stop(BEGAN + 60)


def test_a_process_stops_by_its_own_times() -> None:
    lease = LeaseClock(BEGAN, LeaseTimes(seconds=20, renew=1, margin=2))
    assert not lease.must_stop(BEGAN + 18)
    assert lease.must_stop(BEGAN + 18.1)


@pytest.mark.parametrize(
    ("times", "names"),
    [
        ((5.0, 1.0, 0.5), "RINGBACK_LEASE_MARGIN_SECONDS=0.5 must be at least RINGBACK_LEASE_RENEW_SECONDS=1"),
        ((2.5, 1.0, 1.0), "RINGBACK_LEASE_SECONDS=2.5 must be at least 3"),
    ],
)
def test_times_that_do_not_fit_each_other_are_refused_in_a_sentence(
    times: tuple[float, float, float], names: str
) -> None:
    with pytest.raises(ConfigurationError, match=names):
        LeaseTimes(*times)


def held_up() -> HoldUps:
    return HoldUps("the worker", "a tool computes", TICK, BEGAN)


def test_a_clock_that_is_a_little_late_says_nothing() -> None:
    clock = held_up()
    assert clock.ticked(BEGAN + TICK + HELD_UP_SECONDS - 0.1, 0.0) is None
    assert not clock.sheds(clock.looked)


@pytest.mark.parametrize(
    ("computed", "says"),
    [
        (
            0.1,
            "the worker was held up for 3.0 s, and computed for 0.1 s of them: it was paused, or the machine is short",
        ),
        (
            2.9,
            "the worker was held up for 3.0 s, and computed for 2.9 s of them: a tool computes; it takes nothing new",
        ),
    ],
)
def test_who_held_a_process_up_is_told_by_how_long_it_computed(computed: float, says: str) -> None:
    assert says in (held_up().ticked(BEGAN + TICK + 3, computed) or "")


def test_a_process_that_was_held_up_takes_nothing_new_for_a_while() -> None:
    clock = held_up()
    over = BEGAN + TICK + 3
    clock.ticked(over, 0.0)
    assert clock.sheds(over + SHED_SECONDS - 0.1)
    clock.ticked(over + SHED_SECONDS - 0.1, 0.0)
    late = over + SHED_SECONDS
    clock.ticked(late, 0.0)
    assert clock.sheds(late), "it was held up again meanwhile"


def test_a_process_that_is_held_up_right_now_takes_nothing_new() -> None:
    clock = held_up()
    assert not clock.sheds(BEGAN + TICK)
    assert clock.sheds(BEGAN + TICK + HELD_UP_SECONDS)


def test_hold_ups_in_a_row_are_told_seldom_and_known_all_the_same() -> None:
    clock = held_up()
    assert clock.ticked(BEGAN + 2, 0.0)
    assert clock.ticked(BEGAN + 5, 0.0) is None
    assert clock.since(BEGAN + 4)
    assert clock.since(BEGAN + 5) == ""
    assert clock.ticked(BEGAN + 5 + OFTEN_SECONDS, 0.0)
