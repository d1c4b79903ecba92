"""What a caller is likely to say, for ears that can be told: from the scenario and from the session's tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
    sentences = [sentence for tool in tools if tool.get("type") == "function" for sentence in _of_tool(tool)]
    kept: list[str] = [_GREETING]
    for sentence in dict.fromkeys(sentences):
        if sum(map(len, kept)) + len(kept) + len(sentence) <= MAX_CHARACTERS:
            kept.append(sentence)
    words = " ".join([*(word for pattern in patterns for word in _LITERALS.findall(pattern)), *sentences])
    return Hints(frozenset(re.findall(r"[a-z]{3,}", words.lower())), tuple(kept) if sentences else ())


def _of_tool(tool: Mapping[str, Any]) -> Iterable[str]:
    name = _spaced(str(tool.get("name", "")))
    purpose = re.split(r"(?<=[.!?])\s", str(tool.get("description") or "").strip())[0]
    yield purpose if purpose and len(purpose) <= _MAX_SENTENCE else f"{name.capitalize()}."
    for parameter, schema in ((tool.get("parameters") or {}).get("properties") or {}).items():
        schema = schema if isinstance(schema, Mapping) else {}
        examples = [*_QUOTED.findall(str(schema.get("description", ""))), *map(str, schema.get("examples") or ())]
        examples += [str(choice) for choice in schema.get("enum") or ()]
        if examples:
            yield f"{_spaced(parameter).capitalize()} {', '.join(examples)}."


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]+", " ", name).lower()
