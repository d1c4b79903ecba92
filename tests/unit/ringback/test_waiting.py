"""How long a call waits for a worker, by what is measured of its queue."""

from __future__ import annotations

import pytest

from ringback.waiting import expected_wait


@pytest.mark.parametrize(
    ("pending", "running", "slots", "mean_seconds", "seconds"),
    [
        # nobody is there
        (0, 0, 0, None, None),
        (5, 0, 0, 10.0, None),
        # a slot is free
        (0, 0, 1, None, 0.0),
        (0, 3, 4, 10.0, 0.0),
        (2, 0, 4, 10.0, 0.0),
        (3, 0, 4, None, 0.0),
        # it is the first in line, or others come before
        (0, 1, 1, 40.0, 40.0),
        (0, 4, 4, 40.0, 10.0),
        (3, 4, 4, 40.0, 40.0),
        (7, 4, 4, 10.0, 20.0),
        # slots are free, and others in line take them
        (4, 2, 4, 8.0, 6.0),
        # more run than there are slots: a worker of an older version counts them otherwise
        (0, 6, 4, 8.0, 6.0),
        # nothing was measured
        (0, 1, 1, None, None),
        # calls that take no time
        (9, 1, 1, 0.0, 0.0),
    ],
)
def test_a_call_waits_for_as_many_ends_as_it_has_calls_before_it(
    pending: int, running: int, slots: int, mean_seconds: float | None, seconds: float | None
) -> None:
    assert expected_wait(pending, running, slots, mean_seconds) == seconds


def test_one_more_call_in_line_never_shortens_the_wait() -> None:
    for slots in (1, 3, 8):
        for running in range(slots + 1):
            waits = [expected_wait(pending, running, slots, 5.0) for pending in range(20)]
            assert waits == sorted(waits)  # type: ignore[type-var]
