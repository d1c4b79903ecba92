"""How long a call waits before it is published for another worker."""

from __future__ import annotations

import pytest

from workers.execution.passing import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, PASSED_ON_A_SECOND, pause


@pytest.mark.parametrize(
    ("waited", "held", "seconds"),
    [
        (0.0, 0, FIRST_PAUSE_SECONDS),
        (-1.0, 0, FIRST_PAUSE_SECONDS),
        (2.0, 0, 0.2),
        (60.0, 0, MAX_PAUSE_SECONDS),
        (0.0, PASSED_ON_A_SECOND, FIRST_PAUSE_SECONDS + 1),
    ],
)
def test_a_call_waits_longer_the_longer_it_has_waited_and_the_more_there_are(
    waited: float, held: int, seconds: float
) -> None:
    assert pause(waited, held) == pytest.approx(seconds)
