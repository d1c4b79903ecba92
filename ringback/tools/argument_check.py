"""Bounded check of arguments against a tool's schema.

The schema comes from a tool author or an outside server, the arguments from a model. The gateway compares them on the
event loop of every session, and a worker beside its other calls. So the check covers only keywords whose cost is known,
and only if schema and arguments are not both large. The tool checks the rest: pydantic in the worker, the MCP server or
the HTTP API. Above all that is `pattern`, which Python's `re` may need minutes for.

The check is looser than the schema, never stricter: if a keyword is left out, so is every keyword that it would loosen
in the wrong direction (`not`, `if`, `oneOf`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

MAX_STEPS = 10_000
"""Parts of the schema times parts of the arguments: each pair is compared once at most, in about 10 µs."""
CHARS_OF_A_PART = 100
"""Characters of text that count as one part: every misfit quotes the text that does not fit."""
MAX_DEPTH = 64
"""Levels of a schema that are checked."""

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_LOOSE: dict[str, Any] = {}


class ArgumentCheck:
    """Check of one tool's arguments, prepared once."""

    def __init__(self, schema: Any) -> None:
        judged = _judged(schema, MAX_DEPTH)
        self._parts = size_of(judged)
        self._validator = _Validator(judged)

    def misfits(self, arguments: Any) -> list[ValidationError]:
        """Return each place where the arguments do not fit; [] if the check would take too long."""
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


def _properties(validator: Any, properties: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check properties as jsonschema does, which makes a validator for each: one that fits its type, and has nothing
    beside that to fit, needs none.
    """
    if validator.is_type(instance, "object"):
        left = {name: part for name, part in properties.items() if not _has_its_type(validator, part, instance, name)}
        yield from Draft202012Validator.VALIDATORS["properties"](validator, left, instance, schema)


def _has_its_type(validator: Any, part: Any, instance: dict[str, Any], name: str) -> bool:
    kind = part.get("type") if isinstance(part, dict) and len(part) == 1 else None
    return isinstance(kind, str) and name in instance and bool(validator.is_type(instance[name], kind))


_Validator = extend(Draft202012Validator, {"properties": _properties})  # type: ignore[no-untyped-call]


def _judged(schema: Any, depth: int) -> dict[str, Any]:
    """Return the part of a schema that is checked here; an invalid schema checks no argument."""
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
    if "patternProperties" in schema:  # patterns would decide which properties are additional
        judged.pop("additionalProperties", None)
    for key in ("prefixItems", "allOf", "anyOf"):
        if _is_filled_list(schema.get(key)):
            judged[key] = [_inner(part, depth) for part in schema[key]]
    if _is_filled_list(schema.get("oneOf")) and "anyOf" not in judged:  # loosened: more than one of them may fit
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


# Keywords that hold no schema, each with a test of whether it is well formed. `multipleOf` is left out: in floating
# point, a price with two decimals is no multiple of 0.01. So is `uniqueItems`, which compares each item with every
# other.
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "type": _are_types,
    "required": _are_texts,
    "enum": _is_filled_list,
    "const": lambda value: True,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _is_count),
}
