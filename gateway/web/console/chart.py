"""The chart of the jobs page: how many jobs of each state began, slot by slot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ringback.jobs.states import JobState

SLOTS = 60
"""Points on the chart: one for each six to twelve pixels of a phone and a desk."""
DEFAULT_SPAN = timedelta(hours=24)
SPANS = {"1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}
"""Times that the page offers, as `since:` takes them."""


class Chart(NamedTuple):
    """Numbers of the chart.

    Args:
        times: the beginning of each slot, in seconds since 1970.
        series: by state, a number for each slot; only states that occur.
        totals: by state, of the whole chart.
        is_cut: True if there were more jobs than are counted: the chart then begins where the count is whole.
    """

    times: list[int]
    series: dict[str, list[int]]
    totals: dict[str, int]
    is_cut: bool

    @property
    def points(self) -> dict[str, Any]:
        """What the page's script draws."""
        return {"times": self.times, "states": list(self.series), "numbers": list(self.series.values())}


def seconds_of_a_slot(span: timedelta) -> int:
    """Return the length of a slot, in whole seconds."""
    return max(1, round(span.total_seconds() / SLOTS))


def chart(rows: Iterable[Any], *, now: datetime, span: timedelta, most: int | None, by_state: bool = True) -> Chart:
    """Return the chart of the rows of `statements.job_search.counts`.

    Args:
        most: jobs that are read at most; None: all are.
        by_state: whether `most` is of each state by itself.
    """
    step = seconds_of_a_slot(span)
    found = list(rows)
    last = int(now.timestamp()) // step
    first = last - SLOTS + 1
    read_together = [[row for row in found if row.state == state] for state in _states(found)] if by_state else [found]
    cuts = [_oldest(group) // step + 1 for group in read_together if most is not None and _read(group) >= most]
    begins = max([first, *cuts])
    series = {}
    for state in _states(found):
        by_slot = {int(row.slot): int(row.number) for row in found if row.state == state}
        numbers = [by_slot.get(slot, 0) for slot in range(begins, last + 1)]
        if any(numbers):
            series[state] = numbers
    times = [slot * step for slot in range(begins, last + 1)]
    return Chart(times, series, {state: sum(numbers) for state, numbers in series.items()}, begins > first)


def _states(rows: Sequence[Any]) -> list[str]:
    there = {row.state for row in rows}
    return [state.value for state in JobState if state in there]


def _read(rows: Iterable[Any]) -> int:
    return sum(int(row.read) for row in rows)


def _oldest(rows: Iterable[Any]) -> int:
    return int(min(row.oldest for row in rows).timestamp())
