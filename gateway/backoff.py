"""Pauses between attempts. Pure: the chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

MOST_DOUBLINGS = 32
"""After so many failures any pause is at its longest; a float ends at 1,023."""


def doubled(first_seconds: float, longest_seconds: float, failures: int) -> float:
    """Return the pause after so many earlier failures: twice as long each time, up to the longest."""
    return min(first_seconds * 2.0 ** min(failures, MOST_DOUBLINGS), longest_seconds)


def pauses(random: Callable[[], float], first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Return the seconds before each attempt: none, and then a doubled pause less up to half of it, by chance.

    Thousands of sessions may lose the same server at the same moment: they must not come back together.
    """
    yield 0.0
    for failures in count():
        yield doubled(first_seconds, longest_seconds, failures) * (0.5 + random() / 2)
