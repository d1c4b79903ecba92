"""The check of arguments against a tool's schema, within a bound.

The schema is a tool author's or a stranger's, and the arguments are a model's. The gateway holds them against each
other on the event loop of every session, and a worker beside its other calls. So only those keywords are judged here
whose cost is known, and only where schema and arguments are not both large. What is left out is for the tool to judge:
pydantic in the worker, the MCP server or the HTTP API. Above all that is `pattern`, which Python's `re` can take
minutes for.

The check is looser than the schema, never stricter: where a keyword is left out, so is every one that it would loosen
the wrong way (`not`, `if`, `oneOf`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

MAX_STEPS = 10_000
"""Parts of the schema times parts of the arguments: each pair is looked at once at most, in about 10 µs."""
CHARS_OF_A_PART = 100
"""Text counts as a part for each so many characters: every misfit quotes the text that does not fit."""
MAX_DEPTH = 64
"""Of a schema: deeper ones are not looked into."""

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_LOOSE: dict[str, Any] = {}


class ArgumentCheck:
    """The check of one tool's arguments; prepared once."""

    def __init__(self, schema: Any) -> None:
        judged = _judged(schema, MAX_DEPTH)
        self._parts = size_of(judged)
        self._validator = Draft202012Validator(judged)

    def misfits(self, arguments: Any) -> list[ValidationError]:
        """Return each place where the arguments do not fit; [] where that would take too long to find out."""
        if self._parts * size_of(arguments) > MAX_STEPS:
            return []
        return list(self._validator.iter_errors(arguments))


def size_of(value: Any) -> int:
    """Return the number of parts of JSON data: values, names, and text by its length."""
    parts, left = 0, [value]
    while left:
        each = left.pop()
        parts += 1
        if isinstance(each, dict):
            left += each.values()
            parts += sum(len(name) for name in each) // CHARS_OF_A_PART
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str):
            parts += len(each) // CHARS_OF_A_PART
    return parts


def _judged(schema: Any, depth: int) -> dict[str, Any]:
    """Return the part of a schema that is judged here; one that is no schema judges nothing."""
    if not isinstance(schema, dict) or not depth:
        return _LOOSE
    judged = {
        key: schema[key] for key, is_well_formed in _PLAIN.items() if key in schema and is_well_formed(schema[key])
    }
    properties = schema.get("properties")
    if isinstance(properties, dict):
        judged["properties"] = {str(name): _inner(part, depth) for name, part in properties.items()}
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict | bool):
            judged[key] = _inner(schema[key], depth)
    if "patternProperties" in schema:  # which of the others are additional is a matter of patterns
        judged.pop("additionalProperties", None)
    for key in ("prefixItems", "allOf", "anyOf"):
        if _is_filled_list(schema.get(key)):
            judged[key] = [_inner(part, depth) for part in schema[key]]
    if _is_filled_list(schema.get("oneOf")) and "anyOf" not in judged:  # loosened, more than one of them may fit
        judged["anyOf"] = [_inner(part, depth) for part in schema["oneOf"]]
    return judged


def _inner(schema: Any, depth: int) -> Any:
    return schema if isinstance(schema, bool) else _judged(schema, depth - 1)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _are_types(value: Any) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(kind, str) and kind in _TYPES for kind in kinds)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


# Keywords that hold no schema, each with what makes it well formed. `multipleOf` is not among them: of a price with two
# decimals floating point says that it is no multiple of 0.01. `uniqueItems` compares each item with every other.
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "type": _are_types,
    "required": _are_texts,
    "enum": _is_filled_list,
    "const": lambda value: True,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _is_count),
}
