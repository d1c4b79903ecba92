"""Line of a check: what was looked at, whether it is in order, and what to do if it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from ringback.config.logs import masked
from ringback.errors import ConfigurationError, first_line
from ringback.history.pagination import Document

Status = Literal["ok", "warn", "fail"]


class Check(Document):
    """Line of a check."""

    name: str
    status: Status
    says: str
    do: str = ""


def ok(name: str, says: str) -> Check:
    """Return a line of what is in order."""
    return Check(name=name, status="ok", says=masked(says))


def warn(name: str, says: str, do: str) -> Check:
    """Return a line of what works, and should be changed."""
    return Check(name=name, status="warn", says=masked(says), do=masked(do))


def fail(name: str, says: str, do: str) -> Check:
    """Return a line of what does not work."""
    return Check(name=name, status="fail", says=masked(says), do=masked(do))


def looked_at(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Yield the lines of a check; if it cannot end, the last one says so. Raises nothing."""
    try:
        yield from look()
    except ConfigurationError as problem:
        yield fail(name, str(problem), "change that setting")
    except Exception as problem:
        said = first_line(problem)
        kind = type(problem).__name__
        yield fail(name, f"this check could not end: {kind}{f': {said}' if said else ''}", "see whether it answers")
