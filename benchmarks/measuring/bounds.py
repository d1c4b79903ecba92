"""Bounds of a benchmark's options: a number with which nothing would be measured is refused before anything starts."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from math import inf


def whole(least: int = 1) -> Callable[[str], int]:
    """Read a whole number that is at least so much."""

    def read(text: str) -> int:
        if not text.strip().lstrip("+-").isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return read


def lasting(least: float = 0.1, most: float = inf) -> Callable[[str], float]:
    """Read a length of time, in the unit of the option, that is within these bounds."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = inf
        if not least <= value <= most or value == inf:
            raise ArgumentTypeError(f"{text!r} is not a number {_within(least, most)}")
        return value

    return read


def _within(least: float, most: float) -> str:
    return f"of {least:g} or more" if most == inf else f"from {least:g} to {most:g}"
