"""What a caller is likely to say, for ears that can be told: from the scenario and from the session's tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.understanding.offered import IDLE

# A model of Whisper reads half of its window, 224 tokens, before it hears; about 600 characters fit.
MAX_CHARACTERS = 600
# A description's first sentence; a longer one is no hint.
_MAX_SENTENCE = 80
# The words before the caller's. They also show the model how sentences are written (benchmarks/ears.py).
_GREETING = "Hello, how can I help you?"
# Whole words of a regular expression.
_LITERALS = re.compile(r"(?:\\b|(?<![\w\\)\]?<>/]))([a-z]{3,}(?: [a-z]+)*)(?=\\b|$|[ .*?(|)])", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“`]([^\"”`]{1,40})[\"”`]")


@dataclass(frozen=True)
class Hints:
    """Likely words, in lower case, and sentences that may stand before the caller's."""

    words: frozenset[str] = frozenset()
    sentences: tuple[str, ...] = ()


NO_HINTS = Hints()


def hints(patterns: Iterable[str], tools: Iterable[Mapping[str, Any]]) -> Hints:
    """Return what is likely to be said.

    Args:
        patterns: the regular expressions that the scenario listens for.
        tools: the functions of the session, as the client sent them.
    """
    functions = [tool for tool in tools if tool.get("type") == "function"]
    values = ", ".join(dict.fromkeys(value for tool in functions for value in _values(tool)))[: MAX_CHARACTERS // 3]
    sentences = [*([f"{values}."] if values else []), *map(_purpose, functions)]
    kept: list[str] = [_GREETING]
    for sentence in dict.fromkeys(sentences):
        if sum(map(len, kept)) + len(kept) + len(sentence) <= MAX_CHARACTERS:
            kept.append(sentence)
    words = " ".join([*(word for pattern in patterns for word in _LITERALS.findall(pattern)), *sentences])
    return Hints(frozenset(re.findall(r"[a-z]{3,}", words.lower())) - IDLE, tuple(kept) if sentences else ())


def _purpose(tool: Mapping[str, Any]) -> str:
    """Return what a tool is for in a sentence, or its name as one."""
    purpose = re.split(r"(?<=[.!?])\s", str(tool.get("description") or "").strip())[0]
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]+", " ", str(tool.get("name", "")))
    return purpose if purpose and len(purpose) <= _MAX_SENTENCE else f"{name.capitalize()}."


def _values(tool: Mapping[str, Any]) -> Iterable[str]:
    """Yield the examples and choices of a tool's parameters."""
    for schema in ((tool.get("parameters") or {}).get("properties") or {}).values():
        if isinstance(schema, Mapping):
            yield from _QUOTED.findall(str(schema.get("description", "")))
            yield from map(str, [*(schema.get("examples") or ()), *(schema.get("enum") or ())])
