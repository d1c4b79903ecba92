"""Tools for people: one line each, with what bounds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from cli.output.tables import console, print_rows, printable
from ringback.tools.behavior import Limits
from ringback.tools.decorator import ToolSpec


def print_tools(tools: Sequence[ToolSpec], workers: Mapping[str, int] | None = None) -> None:
    """One line a tool; `workers` is how many serve it, where that was asked for."""
    rows = [
        {
            "TOOL": Text(printable(tool.name), no_wrap=True),
            "QUEUE": Text(tool.queue, no_wrap=True),
            "EFFECT": Text(tool.effect, no_wrap=True),
            "TIMEOUT": Text(f"{tool.timeout:g} s", no_wrap=True),
            "RETRIES": Text(str(tool.retries)),
            **({} if workers is None else {"WORKERS": Text(str(workers[tool.name]))}),
            "LIMITS": Text(limits_in_words(tool.limits) or "–"),
        }
        for tool in tools
    ]
    print_rows(console(), rows)


def limits_in_words(limits: Limits) -> str:
    """What a tool bears, as its author wrote it; empty where it is not bounded."""
    words = []
    if limits.concurrency is not None:
        words.append(f"{limits.concurrency} at once")
    if limits.rate is not None:
        words.append(rate_in_words(limits.rate) + (f", {limits.burst} in a burst" if limits.burst > 1 else ""))
    if limits.breaker_failures is not None:
        words.append(f"left alone for {limits.breaker_seconds:g} s after {limits.breaker_failures} failures")
    return "; ".join(words)


def rate_in_words(rate: float) -> str:
    """Calls in the shortest unit that gives a whole number."""
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3_600)):
        calls = rate * seconds
        if calls >= 1 and abs(calls - round(calls)) < 1e-6:
            return f"{round(calls)}/{unit}"
    return f"{rate:g}/s"
