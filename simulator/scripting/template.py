"""The template language of scenario files: ``{field}``, ``{a.b.0}``, ``{field:title}``, ``{field|default}``.

Templates take values from the user's words (named groups of a regular expression) and from a tool's output (the fields
of its JSON). If a field is missing and has no default, :func:`render` returns None, so that the caller can use another
template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{(?P<path>[A-Za-z_][\w.-]*)(?::(?P<spec>\w+))?(?:\|(?P<default>[^{}]*))?\}")
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_NUMBERS = {
    **{word: value for value, word in enumerate(f"{_UNITS} seventeen eighteen nineteen".split(" "))},
    **{
        word: 10 * tens
        for tens, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
    },
}


def as_number(text: str) -> int | None:
    """Read a whole number written in digits or in words below one hundred ("forty two"), or "hundred"."""
    words = text.lower().replace("-", " ").replace("a hundred", "hundred").split()
    if len(words) == 1 and re.fullmatch(r"-?\d+", text.strip()):
        return int(text)
    if words in (["hundred"], ["one", "hundred"]):
        return 100
    if not words or not set(words) <= set(_NUMBERS):
        return None
    return sum(_NUMBERS[word] for word in words)


def _formatted(value: Any, spec: str | None) -> Any:
    if spec == "title":
        return str(value).title()
    if spec == "upper":
        return str(value).upper()
    if spec == "number":
        return as_number(str(value))
    return value


SPECS = frozenset({"title", "upper", "number"})


def _look_up(values: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(step)
        elif isinstance(values, list) and step.isdecimal() and int(step) < len(values):
            values = values[int(step)]
        else:
            return None
    return values


def _value(match: re.Match[str], values: Mapping[str, Any]) -> Any:
    found = _look_up(values, match["path"])
    formatted = None if found is None else _formatted(found, match["spec"])
    if formatted is None and match["default"] is not None:
        return _formatted(match["default"], match["spec"])
    return formatted


def render(template: str, values: Mapping[str, Any]) -> str | None:
    """Return the filled template, or None when a field without a default is missing."""
    pieces, end = [], 0
    for match in _PLACEHOLDER.finditer(template):
        value = _value(match, values)
        if value is None:
            return None
        pieces += [template[end : match.start()], str(value)]
        end = match.end()
    return "".join([*pieces, template[end:]])


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Fill the templates in a tree of JSON values; one that is a single placeholder keeps its type.

    A placeholder that cannot be filled leaves its key out: arguments that the user did not give.
    """
    if isinstance(value, Mapping):
        filled = {key: fill(inner, values) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not None}
    if isinstance(value, list):
        return [fill(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    return _value(whole, values) if whole else render(value, values)


def unknown_specs(template: str) -> set[str]:
    """Return the format names in a template that do not exist."""
    return {m["spec"] for m in _PLACEHOLDER.finditer(template) if m["spec"]} - SPECS
