"""Pauses before a process is started again."""

from __future__ import annotations

import pytest

from cli.local_stack.backoff import (
    BLAMELESS_SECONDS,
    FIRST_PAUSE_SECONDS,
    HEALTHY_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Backoff,
)

BEGAN = 1_000.0


def test_each_pause_is_twice_the_one_before_up_to_a_bound() -> None:
    backoff = Backoff(BEGAN)
    pauses = [backoff.pause(BEGAN + 1) for _ in range(8)]
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(("ran", "pause"), [(HEALTHY_SECONDS - 1, 4.0), (HEALTHY_SECONDS, FIRST_PAUSE_SECONDS)])
def test_a_process_that_ran_for_a_while_begins_with_the_first_pause_again(ran: float, pause: float) -> None:
    backoff = Backoff(BEGAN)
    assert [backoff.pause(BEGAN + 1), backoff.pause(BEGAN + 1)] == [1.0, 2.0]
    backoff.started = BEGAN + 10
    assert backoff.pause(BEGAN + 10 + ran) == pause


@pytest.mark.parametrize(("ran", "pause"), [(BLAMELESS_SECONDS - 1, FIRST_PAUSE_SECONDS), (BLAMELESS_SECONDS, 0.0)])
def test_what_was_killed_while_it_served_is_started_again_at_once(ran: float, pause: float) -> None:
    assert Backoff(BEGAN).pause(BEGAN + ran, killed=True) == pause
