"""Rules of a tool's declaration, and the sentence for each that is broken."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from math import isfinite
from typing import Any, TypeVar

from ringback.errors import DeclarationError
from ringback.jobs.states import Effect
from ringback.tools.behavior import MAX_WORDS_CHARS, OnDuplicate
from ringback.tools.provider_schema import SchemaRefused
from ringback.tools.provider_schema import check as check_schema
from ringback.tools.spec import ToolSpec

MAX_TIMEOUT = 3_300.0
"""Seconds. A Realtime session ends after 60 minutes; a job that outlives it has no listener."""
MAX_RETRIES = 10
MAX_APPROVAL_SECONDS = 3_300.0
"""As long as a conversation may last."""
MAX_CONCURRENCY = 100_000
MAX_BACKOFF = 60.0
"""Seconds. The caller waits for every attempt."""
MAX_BREAKER_SECONDS = 3_600.0
"""A tool that gets no calls for longer is as good as gone; take it out of service instead."""
MAX_SCOPES = 16
"""A tool that asks for more asks for the wrong thing: give the right to use it a scope of its own."""
MAX_REDACTED = 64
"""Redacted fields of one tool."""
OF_RESULT = "result"
"""Prefix of a redacted field that is not an argument."""
OURS = frozenset({"cancel_call", "answer_approval", "end_call", "transfer_call"})
"""Functions that the gateway offers itself while there is a call to cancel or to approve."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # What the Realtime API accepts as a function's name.
_QUEUE = re.compile(r"[a-z0-9_.-]{1,64}")
SCOPE = re.compile(r"[!#-\[\]-~]{1,128}")  # What OAuth accepts as a scope (RFC 6749, 3.3).
SCOPE_RULE = "use 1 to 128 characters of ASCII, no space, quote or backslash."
_FIELD = re.compile(r"\w[\w-]*(\.\w[\w-]*)*")
_RATE = re.compile(r"(\d{1,6})/([smh])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0}

Word = TypeVar("Word", bound=StrEnum)


def chosen(tool: str, name: str, words: type[Word], word: str) -> Word:
    """Return the choice that the word names; DeclarationError if it names none."""
    try:
        return words(word)
    except ValueError:
        known = ", ".join(f'"{known}"' for known in words)
        raise DeclarationError(f"{tool}: {name}={word!r} is none of {known}.") from None


def per_second(tool: str, rate: str) -> float:
    """Return the calls in a second of a rate such as "30/m"; DeclarationError if it is none."""
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    if found is None or not int(found[1]):
        raise DeclarationError(f'{tool}: rate={rate!r}: write calls per second, minute or hour, such as "30/m".')
    return int(found[1]) / _SECONDS[found[2]]


def check_function(function: Any) -> None:
    """Raise DeclarationError unless it is a plain function, sync or async."""
    if isinstance(function, str):
        raise DeclarationError(f"@tool({function!r}): write @tool(name={function!r}); it takes keywords alone.")
    if not inspect.isfunction(function):
        names = (getattr(function, name, None) for name in ("__name__", "name"))
        what = next((name for name in names if name), type(function).__name__)
        raise DeclarationError(f"{what}: put @tool on a function, written with def or async def, and on nothing else.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{function.__name__}: it yields; a tool returns one result, and tells how far it is by call.progress(…)."
        )
    is_in_a_class = function.__qualname__.rpartition(".")[0].rpartition(".")[2] not in ("", "<locals>")
    if is_in_a_class or next(iter(inspect.signature(function).parameters), None) in ("self", "cls"):
        raise DeclarationError(f"{function.__name__}: a tool belongs to no class; move the function out of it.")


def check(tool: ToolSpec) -> None:
    """Raise DeclarationError, with the sentence that says what to change, if a rule is broken."""
    # The kinds come first: a value that is no number cannot be compared with a bound.
    for rules in (_rules_of_kinds, _rules, _rules_of_behavior, _rules_of_limits):
        for holds, sentence in rules(tool):
            if not holds:
                raise DeclarationError(f"{tool.name}: {sentence}")
    try:
        check_schema(tool.parameters)
    except SchemaRefused as problem:
        raise DeclarationError(f"{tool.name}: {problem}.") from None


def _rules_of_kinds(tool: ToolSpec) -> Iterator[tuple[bool, str]]:
    behavior, limits = tool.behavior, tool.limits
    yield _kind("name", tool.name, _is_text, "a text")
    yield _kind("queue", tool.queue, _is_text, "a text")
    yield _kind("timeout", tool.timeout, _is_number, "a number of seconds")
    yield _kind("retries", tool.retries, _is_whole, "a whole number")
    for name in ("say_after", "say_every", "drop_after"):
        yield _kind(name, getattr(behavior, name), _is_number, "a number of seconds", "or None")
    yield _kind("approval_seconds", behavior.approval_seconds, _is_number, "a number of seconds")
    yield _kind("say", behavior.say, _is_text, "a text", "or None")
    for name in ("cancellable", "requires_approval"):
        yield _kind(name, getattr(behavior, name), _is_switch, "True or False")
    yield _kind("untrusted", behavior.is_untrusted, _is_switch, "True or False")
    yield _kind("scopes", behavior.scopes, _are_texts, 'a list of texts, such as ["orders:write"]')
    yield _kind("redact", behavior.redact, _are_texts, 'a list of texts, such as ["iban", "result.iban"]')
    yield _kind("concurrency", limits.concurrency, _is_whole, "a whole number", "or None")
    yield _kind("burst", limits.burst, _is_whole, "a whole number")
    yield _kind("backoff", limits.backoff, _is_number, "a number of seconds")
    yield _kind("Breaker.failures", limits.breaker_failures, _is_whole, "a whole number", "or None")
    yield _kind("Breaker.seconds", limits.breaker_seconds, _is_number, "a number of seconds")


def _rules(tool: ToolSpec) -> list[tuple[bool, str]]:
    once = tool.effect is Effect.AT_MOST_ONCE
    return [
        (bool(_NAME.fullmatch(tool.name)), "its name may have 1 to 64 letters, digits, _ and -; pass name=…"),
        (tool.name not in OURS, "this name is a function of the gateway itself; pass another name=…"),
        (bool(tool.description), "give it a docstring: the model chooses a tool by what it reads there."),
        (bool(_QUEUE.fullmatch(tool.queue)), f"queue={tool.queue!r}: use 1 to 64 of a-z, 0-9, _, . and -."),
        _within("timeout", tool.timeout, MAX_TIMEOUT),
        (0 <= tool.retries <= MAX_RETRIES, f"retries={tool.retries}: use 0 to {MAX_RETRIES}."),
        (
            not (once and tool.retries),
            "an at_most_once tool is never run again; leave out retries, or make it idempotent.",
        ),
        (
            not (once and tool.behavior.on_duplicate is OnDuplicate.REPLACE),
            'on_duplicate="replace" would do an at_most_once tool\'s work twice; use "reject", "join" or "allow".',
        ),
    ]


def _rules_of_behavior(tool: ToolSpec) -> list[tuple[bool, str]]:
    said = tool.behavior
    return [
        *(_seconds(name, getattr(said, name)) for name in ("say_after", "say_every", "drop_after")),
        (said.say_after is not None or said.say is None, "say=… needs say_after=…: after how many seconds to say it."),
        (said.say_after is not None or said.say_every is None, "say_every=… needs say_after=… for the first time."),
        (
            said.say is None or 0 < len(said.say.strip()) <= MAX_WORDS_CHARS,
            f"say=…: use 1 to {MAX_WORDS_CHARS} characters.",
        ),
        _within("approval_seconds", said.approval_seconds, MAX_APPROVAL_SECONDS),
        (len(said.scopes) <= MAX_SCOPES, f"scopes: use at most {MAX_SCOPES}; give the right to use it one name."),
        *((bool(SCOPE.fullmatch(one)), f"scopes: {one!r}: {SCOPE_RULE}") for one in said.scopes),
        (len(said.redact) <= MAX_REDACTED, f"redact: use at most {MAX_REDACTED} names."),
        *(_redactable(tool, name) for name in said.redact),
    ]


def _rules_of_limits(tool: ToolSpec) -> list[tuple[bool, str]]:
    bears = tool.limits
    return [
        (
            bears.concurrency is None or 1 <= bears.concurrency <= MAX_CONCURRENCY,
            f"concurrency={bears.concurrency}: use 1 to {MAX_CONCURRENCY}, or None.",
        ),
        (1 <= bears.burst <= MAX_CONCURRENCY, f"burst={bears.burst}: use 1 to {MAX_CONCURRENCY}."),
        (bears.rate is not None or bears.burst == 1, 'burst=… needs rate=…, such as "30/m".'),
        _within("backoff", bears.backoff, MAX_BACKOFF),
        (
            bears.breaker_failures is None or bears.breaker_failures >= 1,
            f"Breaker(failures={bears.breaker_failures}): use 1 or more.",
        ),
        _within("Breaker.seconds", bears.breaker_seconds, MAX_BREAKER_SECONDS),
    ]


def _redactable(tool: ToolSpec, name: str) -> tuple[bool, str]:
    first = name.partition(".")[0]
    known = tool.parameters.get("properties", {})
    sentence = f"redact: {name!r} is neither an argument ({', '.join(known) or 'there is none'}) nor result.FIELD."
    return bool(_FIELD.fullmatch(name)) and (first in known or name.startswith(f"{OF_RESULT}.")), sentence


def _kind(name: str, value: Any, fits: Callable[[Any], bool], kind: str, none: str = "") -> tuple[bool, str]:
    holds = fits(value) or (bool(none) and value is None)
    return holds, f"{name}={value!r}: use {f'{kind}, {none}' if none else kind}."


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) for one in value)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _within(name: str, value: float, most: float) -> tuple[bool, str]:
    return 0 < value <= most, f"{name}={value}: use seconds above 0, up to {most:.0f}."


def _seconds(name: str, value: float | None) -> tuple[bool, str]:
    holds = value is None or (isfinite(value) and value > 0)
    return holds, f"{name}={value}: use seconds above 0, or None."
