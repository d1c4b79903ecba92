"""`random_number`: the smallest possible tool."""

from __future__ import annotations

from secrets import randbelow
from typing import TypedDict

from ringback import ToolError, tool


class Number(TypedDict):
    number: int


@tool
def random_number(minimum: int = 1, maximum: int = 100) -> Number:
    """Draw a whole number at random, both ends included.

    Args:
        minimum: the smallest number that may come.
        maximum: the largest number that may come.
    """
    if minimum > maximum:
        raise ToolError(f"minimum {minimum} is above maximum {maximum}; swap them.", code="bad_range")
    return {"number": minimum + randbelow(maximum - minimum + 1)}
