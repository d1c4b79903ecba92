"""The end of a worker process, turn by turn."""

from __future__ import annotations

import pytest

from workers.lifecycle.shutdown_policy import HAND_BACK_SECONDS, SIGN_OFF_SECONDS, WARM_SECONDS, Stopping, Turn

DRAIN = 25.0
PROMISED_SECONDS = 5.0


@pytest.mark.parametrize(
    ("now", "asked", "busy", "turn"),
    [
        (0.0, 1, True, Turn.WAIT),
        (DRAIN - 0.1, 1, True, Turn.WAIT),
        (DRAIN, 1, True, Turn.HAND_BACK),
        (0.0, 2, True, Turn.HAND_BACK),
        (0.0, 1, False, Turn.WAIT),
        (0.0, 2, False, Turn.WAIT),
        (DRAIN, 1, False, Turn.WAIT),
    ],
)
def test_the_first_look(now: float, asked: int, busy: bool, turn: Turn) -> None:
    assert Stopping(0.0, DRAIN).turn(now, asked=asked, busy=busy) is turn


def test_celery_has_its_time_from_when_nothing_runs_any_more() -> None:
    stopping = Stopping(0.0, DRAIN)
    looks = [(1.0, False), (2.0, True), (3.0, False), (3.0 + WARM_SECONDS - 0.1, False), (3.0 + WARM_SECONDS, False)]
    turns = [stopping.turn(now, asked=1, busy=busy) for now, busy in looks]
    assert turns == [Turn.WAIT] * 4 + [Turn.EXIT]


def test_whatever_comes_the_process_has_ended_by_what_was_promised() -> None:
    assert HAND_BACK_SECONDS < PROMISED_SECONDS
    assert WARM_SECONDS + SIGN_OFF_SECONDS < PROMISED_SECONDS
