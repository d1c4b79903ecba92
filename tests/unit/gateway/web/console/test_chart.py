"""The chart: slots without a gap, and honest where not all jobs are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from gateway.web.console.chart import SLOTS, chart, seconds_of_a_slot

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEP = seconds_of_a_slot(HOUR)
LAST = int(NOW.timestamp()) // STEP


def row(state: str, slots_ago: int, number: int, read: int | None = None) -> Any:
    slot, read = LAST - slots_ago, number if read is None else read
    return SimpleNamespace(
        state=state, slot=slot, number=number, read=read, oldest=datetime.fromtimestamp(slot * STEP, UTC)
    )


def test_a_slot_without_jobs_is_zero() -> None:
    drawn = chart([row("failed", 0, 2), row("failed", 3, 1)], now=NOW, span=HOUR, most=100)
    assert (len(drawn.times), drawn.series["failed"][-4:]) == (SLOTS, [1, 0, 0, 2])
    assert (drawn.totals, drawn.is_cut) == ({"failed": 3}, False)


def test_states_come_in_the_order_of_a_life() -> None:
    drawn = chart([row("dead", 1, 1), row("pending", 1, 1), row("succeeded", 1, 1)], now=NOW, span=HOUR, most=100)
    assert list(drawn.series) == ["pending", "succeeded", "dead"]
    assert drawn.points["states"] == ["pending", "succeeded", "dead"]


def test_the_chart_begins_where_each_state_is_counted_whole() -> None:
    rows = [row("succeeded", 1, 60), row("succeeded", 5, 40), row("failed", 9, 1)]
    drawn = chart(rows, now=NOW, span=HOUR, most=100)
    assert (len(drawn.times), drawn.is_cut) == (5, True)
    assert drawn.totals == {"succeeded": 60}


def test_jobs_that_were_read_in_vain_end_the_count_too() -> None:
    drawn = chart([row("failed", 1, 2, 90), row("failed", 7, 0, 10)], now=NOW, span=HOUR, most=100)
    assert (len(drawn.times), drawn.is_cut, drawn.totals) == (7, True, {"failed": 2})


def test_a_count_of_all_states_together_is_cut_for_all_at_once() -> None:
    rows = [row("failed", 1, 2, 40), row("succeeded", 7, 3, 60)]
    drawn = chart(rows, now=NOW, span=HOUR, most=100, by_state=False)
    assert (len(drawn.times), drawn.is_cut, drawn.totals) == (7, True, {"failed": 2})
    whole = chart(rows, now=NOW, span=HOUR, most=None, by_state=False)
    assert (whole.is_cut, whole.totals) == (False, {"succeeded": 3, "failed": 2})


def test_without_jobs_there_is_no_series() -> None:
    assert chart([], now=NOW, span=HOUR, most=100).series == {}
