"""Estimated wait of a call, from the measured load of its queue."""

from __future__ import annotations

import pytest

from ringback.jobs.queue_wait import expected_wait


@pytest.mark.parametrize(
    ("pending", "running", "slots", "mean_seconds", "end_every", "seconds"),
    [
        # no worker is there, or one that does not report its slots
        (0, 0, 0, None, None, None),
        (5, 0, 0, 10.0, None, None),
        (0, 6, 0, 8.0, 1.0, None),
        # a slot is free
        (0, 0, 1, None, None, 0.0),
        (0, 3, 4, 10.0, 3.0, 0.0),
        (2, 0, 4, 10.0, None, 0.0),
        (3, 0, 4, None, None, 0.0),
        # it is the first in line, or others come before
        (0, 1, 1, 40.0, 40.0, 40.0),
        (0, 4, 4, 40.0, 10.0, 10.0),
        (3, 4, 4, 40.0, 10.0, 40.0),
        (7, 4, 4, 10.0, 2.5, 20.0),
        # slots are free, and others in line take them
        (4, 2, 4, 8.0, 4.0, 10.0),
        (6, 0, 4, 8.0, None, 6.0),
        # what runs is quick, although calls of this queue are slow: soon the first begins, and late the third
        (0, 2, 2, 90.0, 0.05, 0.05),
        (2, 2, 2, 90.0, 0.05, 45.1),
        # what runs is slow, although calls of this queue are quick
        (0, 1, 1, 0.1, 60.0, 60.0),
        # no call of this queue was measured, or none of any queue
        (1, 1, 1, None, 20.0, 40.0),
        (4, 0, 4, None, None, None),
        # calls that take no time
        (9, 1, 1, 0.0, 0.0, 0.0),
    ],
)
def test_a_call_waits_for_as_many_ends_as_it_has_calls_before_it(
    pending: int, running: int, slots: int, mean_seconds: float | None, end_every: float | None, seconds: float | None
) -> None:
    expected = None if seconds is None else pytest.approx(seconds)
    assert expected_wait(pending, running, slots, mean_seconds, end_every) == expected


def test_one_more_call_in_line_never_shortens_the_wait() -> None:
    for slots in (1, 3, 8):
        for running in range(slots + 1):
            end_every = 5.0 / running if running else None
            waits = [expected_wait(pending, running, slots, 5.0, end_every) for pending in range(20)]
            assert waits == sorted(waits)  # type: ignore[type-var]
