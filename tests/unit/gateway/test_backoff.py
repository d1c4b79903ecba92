"""Pauses between attempts: none at first, then longer, never in step, and bounded."""

from __future__ import annotations

from itertools import islice

from gateway.backoff import doubled, pauses

FIRST_SECONDS, MAX_SECONDS = 0.25, 5.0


def test_the_first_attempt_comes_at_once_and_the_pauses_double_up_to_a_bound() -> None:
    taken = list(islice(pauses(lambda: 1.0, FIRST_SECONDS, MAX_SECONDS), 9))
    assert taken[:4] == [0.0, FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert max(taken) == MAX_SECONDS


def test_chance_takes_away_up_to_half_of_a_pause() -> None:
    assert list(islice(pauses(lambda: 0.0, FIRST_SECONDS, MAX_SECONDS), 3)) == [0.0, FIRST_SECONDS / 2, FIRST_SECONDS]


def test_a_pause_doubles_with_each_failure_and_never_overflows() -> None:
    assert [doubled(5.0, 60.0, failures) for failures in range(6)] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert doubled(5.0, 60.0, 1_000_000) == 60.0
