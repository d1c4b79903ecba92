"""Failure of an attempt, for operators: the exception, the place in the tool's own code, and the traceback.

The model never reads this, and the API does not show it: it names files, and quotes code and messages. It holds no
values that a row must not show, and no local variables.
"""

from __future__ import annotations

import inspect
import site
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import FrameSummary, extract_tb, format_list
from typing import Any

import ringback
from ringback.config.logs import masked
from workers.execution.results import clean_text

MAX_TRACE_CHARS = 8_000
"""Some eighty frames: enough to hold the cause, and little beside a result."""
MAX_FRAMES = 60
"""Most frames of one exception: an endless recursion has a thousand, all alike."""
MAX_CHAINED = 5
"""Most exceptions that led to one another."""
MAX_MESSAGE_CHARS = 1_000
HEAD_SHARE = 0.25
"""Share of a cut traceback that is kept of its beginning. The rest is kept of its end, which says what went wrong."""

_PYTHONS = (*site.getsitepackages(), *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))
_OURS = (str(Path(ringback.__file__).parents[1] / package) for package in ("ringback", "workers", "cli"))
_OTHERS = tuple({f"{folder}/" for folder in (*_PYTHONS, *_OURS)})
"""Folders of code that is not a tool author's, if the tool is in none of them."""


def failure_of(
    problem: BaseException, attempt: int, function: Callable[..., Any], redact: Callable[[str], str], *, quotes: bool
) -> dict[str, Any]:
    """Return `attempt`, `type`, `at` ("file:line in function") and `trace`, as `jobs.failure` keeps them.

    Args:
        function: the tool's, which identifies its author's code.
        redact: redacts values that the row must not show.
        quotes: False leaves the exceptions' own messages out: they may hold what the call holds.
    """
    is_authors = _is_of_author(function)
    frames = [frame for each in _chain(problem) for frame in reversed(extract_tb(each.__traceback__))]
    at = next((frame for frame in frames if is_authors(frame)), frames[0] if frames else None)
    trace = "\n\nwhich led to\n\n".join(reversed([_told(each, is_authors, quotes=quotes) for each in _chain(problem)]))
    return {
        "attempt": attempt,
        "type": _name(problem),
        "at": clean_text(f"{at.filename}:{at.lineno} in {at.name}") if at else "",
        "trace": _cut(redact(masked(clean_text(trace)))),
    }


def _chain(problem: BaseException) -> Iterator[BaseException]:
    """Yield the exception, and those that led to it, the latest first."""
    each: BaseException | None = problem
    seen: list[BaseException] = []
    while each is not None and all(each is not other for other in seen) and len(seen) < MAX_CHAINED:
        seen.append(each)
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _told(problem: BaseException, is_authors: Callable[[FrameSummary], bool], *, quotes: bool) -> str:
    """Return one exception: its frames, from the first of the author's own on, and its message."""
    frames = list(extract_tb(problem.__traceback__))
    first = next((place for place, frame in enumerate(frames) if is_authors(frame)), 0)
    told = "".join(format_list(frames[first:][-MAX_FRAMES:])) + _headline(problem, quotes=quotes)
    if isinstance(problem, BaseExceptionGroup):
        told += "".join(
            f"\n  one of them: {_headline(each, quotes=quotes)}" for each in problem.exceptions[:MAX_CHAINED]
        )
    return told


def _headline(problem: BaseException, *, quotes: bool) -> str:
    if not quotes:
        return f"{_name(problem)}: [message left out: the tool asks for redaction]"
    try:
        message = str(problem)[:MAX_MESSAGE_CHARS]
    except Exception as second:  # an author's own __str__
        message = f"[its message cannot be had: {type(second).__name__}]"
    return f"{_name(problem)}: {message}" if message else _name(problem)


def _name(problem: BaseException) -> str:
    kind = type(problem)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_of_author(function: Callable[..., Any]) -> Callable[[FrameSummary], bool]:
    """Return a test that tells the tool author's frames from those of Ringback, Python and libraries."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    home = f"{Path(code.co_filename).parent}/" if code else ""
    if home.startswith(_OTHERS):  # tools that are installed, or that ship: only their own folder identifies them
        return lambda frame: frame.filename.startswith(home)
    return lambda frame: not frame.filename.startswith((*_OTHERS, "<"))


def _cut(trace: str) -> str:
    if len(trace) <= MAX_TRACE_CHARS:
        return trace
    head = int(MAX_TRACE_CHARS * HEAD_SHARE)
    left_out = len(trace) - MAX_TRACE_CHARS
    return f"{trace[:head]}\n… [cut: {left_out} characters] …\n{trace[-(MAX_TRACE_CHARS - head) :]}"
