"""How long to wait between attempts at a Realtime API that went away. Pure: the chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST_SECONDS = 0.25
"""Of the second attempt; the first comes at once, for most connections that drop can be had again."""
MAX_SECONDS = 5.0
"""Somebody is on the line: a longer pause would only lengthen the silence."""


def pauses(
    random: Callable[[], float], first_seconds: float = FIRST_SECONDS, max_seconds: float = MAX_SECONDS
) -> Iterator[float]:
    """Seconds before each attempt: none, and then anything up to a bound that doubles, with jitter.

    Thousands of sessions may have lost the same server at the same moment: they must not come back together.
    """
    yield 0.0
    bound = first_seconds
    while True:
        yield bound * (0.5 + random() / 2)
        bound = min(bound * 2, max_seconds)
