"""When a gateway looks through all its objects."""

from __future__ import annotations

import gc

import pytest

from gateway.background.full_collections import (
    LEAST_OVER,
    LONGEST_SECONDS,
    NEVER,
    is_due,
    leave_full_collections,
)


@pytest.mark.parametrize(
    ("over", "live", "seconds", "due"),
    [
        (0, 0, 0.0, False),
        (0, 10_000, LONGEST_SECONDS - 1, False),  # however many begin
        (LEAST_OVER - 1, 0, 0.0, False),
        (LEAST_OVER, 0, 0.0, True),
        (LEAST_OVER, 79, 0.0, True),
        (LEAST_OVER, 200, 0.0, False),
        (50, 200, 0.0, True),
        (0, 200, LONGEST_SECONDS, True),
    ],
)
def test_it_is_due_as_sessions_end_and_now_and_then(over: int, live: int, seconds: float, due: bool) -> None:
    assert is_due(over, live, seconds) is due


def test_cpython_begins_no_full_collection_any_more() -> None:
    before = gc.get_threshold()
    try:
        leave_full_collections()
        assert gc.get_threshold() == (*before[:2], NEVER)
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
