"""What a tool may be declared as, and the sentence for each thing that it may not."""

from __future__ import annotations

import re
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

from ringback.errors import DeclarationError
from ringback.jobs import Effect
from ringback.manners import MAX_WORDS_CHARS

if TYPE_CHECKING:
    from ringback.tools import Announcement

DEFAULT_QUEUE = "default"
DEFAULT_TIMEOUT = 15.0
"""Seconds. A caller who hears nothing for longer hangs up."""
MAX_TIMEOUT = 3_300.0
"""Seconds. A Realtime session ends after 60 minutes; a job that outlives it answers nobody."""
MAX_RETRIES = 10
MAX_APPROVAL_SECONDS = 3_300.0
"""As long as a conversation may last."""
MAX_CONCURRENCY = 100_000
OURS = frozenset({"cancel_call", "answer_approval"})
"""Functions that the gateway offers by itself while there is something to cancel or to approve of."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # What the Realtime API takes as a function's name.
_QUEUE = re.compile(r"[a-z0-9_.-]{1,64}")
_RATE = re.compile(r"(\d{1,6})/([smh])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0}

Word = TypeVar("Word", bound=StrEnum)


def chosen(tool: str, name: str, words: type[Word], word: str) -> Word:
    """The word as the choice it names; DeclarationError where it names none."""
    try:
        return words(word)
    except ValueError:
        known = ", ".join(f'"{known}"' for known in words)
        raise DeclarationError(f"{tool}: {name}={word!r} is none of {known}.") from None


def per_second(tool: str, rate: str) -> float:
    """Calls in a second, of a rate such as "30/m"; DeclarationError where it is none."""
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    if found is None or not int(found[1]):
        raise DeclarationError(f'{tool}: rate={rate!r}: write calls per second, minute or hour, such as "30/m".')
    return int(found[1]) / _SECONDS[found[2]]


def check(tool: Announcement) -> None:
    """Raise DeclarationError, with the sentence that says what to change, unless all is well."""
    for holds, sentence in (*_rules(tool), *_rules_of_manners(tool), *_rules_of_limits(tool)):
        if not holds:
            raise DeclarationError(f"{tool.name}: {sentence}")


def _rules(tool: Announcement) -> list[tuple[bool, str]]:
    return [
        (bool(_NAME.fullmatch(tool.name)), "its name may have 1 to 64 letters, digits, _ and -; pass name=…"),
        (tool.name not in OURS, "this name is a function of the gateway itself; pass another name=…"),
        (bool(tool.description), "give it a docstring: the model chooses a tool by what it reads there."),
        (bool(_QUEUE.fullmatch(tool.queue)), f"queue={tool.queue!r}: use 1 to 64 of a-z, 0-9, _, . and -."),
        (
            0 < tool.timeout <= MAX_TIMEOUT,
            f"timeout={tool.timeout}: use seconds above 0, up to {MAX_TIMEOUT:.0f}.",
        ),
        (0 <= tool.retries <= MAX_RETRIES, f"retries={tool.retries}: use 0 to {MAX_RETRIES}."),
        (
            not (tool.effect is Effect.AT_MOST_ONCE and tool.retries),
            "an at_most_once tool is never run again; leave out retries, or make it idempotent.",
        ),
    ]


def _rules_of_manners(tool: Announcement) -> list[tuple[bool, str]]:
    said = tool.manners
    return [
        *(_seconds(name, getattr(said, name)) for name in ("say_after", "say_every", "drop_after")),
        (said.say_after is not None or said.say is None, "say=… needs say_after=…: after how many seconds to say it."),
        (said.say_after is not None or said.say_every is None, "say_every=… needs say_after=… for the first time."),
        (
            said.say is None or 0 < len(said.say.strip()) <= MAX_WORDS_CHARS,
            f"say=…: use 1 to {MAX_WORDS_CHARS} characters.",
        ),
        (
            0 < said.approval_seconds <= MAX_APPROVAL_SECONDS,
            f"approval_seconds={said.approval_seconds}: use seconds above 0, up to {MAX_APPROVAL_SECONDS:.0f}.",
        ),
    ]


def _rules_of_limits(tool: Announcement) -> list[tuple[bool, str]]:
    bears = tool.limits
    return [
        (
            bears.concurrency is None or 1 <= bears.concurrency <= MAX_CONCURRENCY,
            f"concurrency={bears.concurrency}: use 1 to {MAX_CONCURRENCY}, or None.",
        ),
        (0 < bears.backoff <= 60, f"backoff={bears.backoff}: use seconds above 0, up to 60."),
        (
            bears.breaker_failures is None or bears.breaker_failures >= 1,
            f"Breaker(failures={bears.breaker_failures}): use 1 or more.",
        ),
        (
            0 < bears.breaker_seconds <= 3_600,
            f"Breaker(seconds={bears.breaker_seconds}): use seconds above 0, up to 3600.",
        ),
    ]


def _seconds(name: str, value: float | None) -> tuple[bool, str]:
    holds = value is None or (isfinite(value) and value > 0)
    return holds, f"{name}={value}: use seconds above 0, or None."
