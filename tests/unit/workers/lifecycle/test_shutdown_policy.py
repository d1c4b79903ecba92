"""Steps of the shutdown of a worker process."""

from __future__ import annotations

import pytest

from workers.lifecycle.shutdown_policy import (
    HAND_BACK_SECONDS,
    SIGN_OFF_SECONDS,
    WARM_SECONDS,
    ShutdownPolicy,
    ShutdownStep,
)

DRAIN = 25.0
PROMISED_SECONDS = 5.0


@pytest.mark.parametrize(
    ("now", "asked", "busy", "turn"),
    [
        (0.0, 1, True, ShutdownStep.WAIT),
        (DRAIN - 0.1, 1, True, ShutdownStep.WAIT),
        (DRAIN, 1, True, ShutdownStep.HAND_BACK),
        (0.0, 2, True, ShutdownStep.HAND_BACK),
        (0.0, 1, False, ShutdownStep.WAIT),
        (0.0, 2, False, ShutdownStep.WAIT),
        (DRAIN, 1, False, ShutdownStep.WAIT),
    ],
)
def test_the_first_look(now: float, asked: int, busy: bool, turn: ShutdownStep) -> None:
    assert ShutdownPolicy(0.0, DRAIN).next_step(now, asked=asked, busy=busy) is turn


def test_celery_has_its_time_from_when_nothing_runs_any_more() -> None:
    stopping = ShutdownPolicy(0.0, DRAIN)
    looks = [(1.0, False), (2.0, True), (3.0, False), (3.0 + WARM_SECONDS - 0.1, False), (3.0 + WARM_SECONDS, False)]
    turns = [stopping.next_step(now, asked=1, busy=busy) for now, busy in looks]
    assert turns == [ShutdownStep.WAIT] * 4 + [ShutdownStep.EXIT]


def test_whatever_comes_the_process_has_ended_by_what_was_promised() -> None:
    assert HAND_BACK_SECONDS < PROMISED_SECONDS
    assert WARM_SECONDS + SIGN_OFF_SECONDS < PROMISED_SECONDS
