"""Checks the functions of a session as OpenAI does: one invalid schema refuses the whole update.

The rules are those of functions without `strict`, as in the Realtime API: the root is a plain object, every array
describes its items, and each nested schema is a schema.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from simulator.wire import Refused, listed, mapping, missing, unknown

# "Expected an array with maximum length 128."
MAX_FUNCTIONS = 128
# Documented: instructions and tools share 16,384 tokens; a token of JSON is about four characters.
MAX_CHARS = 16_384 * 4

_FIELDS = ("type", "name", "description", "parameters")
_NAME_RULE = "^[a-zA-Z0-9_-]+$"
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_NAME = 64
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NOT_AT_THE_ROOT = frozenset({"oneOf", "anyOf", "allOf", "enum", "not"})
_BY_NAME = ("properties", "$defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "contains", "propertyNames")

Context = tuple[str, ...]


def functions(value: Any) -> list[dict[str, Any]]:
    """Return the ``tools`` of a session as the server echoes them.

    Raises:
        Refused: one of them is invalid; the text and ``param`` name it.
    """
    tools = listed(value, "session.tools")
    if len(tools) > MAX_FUNCTIONS:
        raise Refused(
            "array_above_max_length",
            f"Invalid 'session.tools': array too long. Expected an array with maximum length {MAX_FUNCTIONS}, "
            f"but got an array with length {len(tools)} instead.",
            "session.tools",
        )
    if len(json.dumps(tools)) > MAX_CHARS:
        raise Refused("invalid_value", "Instructions and tools must fit into 16384 tokens.", "session.tools")
    return [_function(index, tool) for index, tool in enumerate(tools)]


def _function(index: int, tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return copy.deepcopy(tool)
    where = f"session.tools[{index}]"
    _check_name(where, tool.get("name"))
    extra = sorted(set(tool) - set(_FIELDS))
    if extra:
        raise unknown(f"{where}.{extra[0]}")
    if tool.get("parameters") is not None:
        _check_parameters(f"{where}.parameters", tool["name"], mapping(tool["parameters"], f"{where}.parameters"))
    return {field: copy.deepcopy(tool[field]) for field in _FIELDS if field in tool}


def _check_name(where: str, name: Any) -> None:
    if not name:
        raise missing(f"{where}.name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the pattern"
        raise Refused("invalid_value", f"{message} '{_NAME_RULE}'.", f"{where}.name")
    if len(name) > _MAX_NAME:
        message = f"Invalid '{where}.name': string too long. Expected a string with maximum length {_MAX_NAME}, but got"
        length = f"a string with length {len(name)} instead."
        raise Refused("string_above_max_length", f"{message} {length}", f"{where}.name")


def _check_parameters(param: str, name: str, schema: dict[str, Any]) -> None:
    problem = _root_problem(schema) or next(_problems(schema, ()), None)
    if problem is not None:
        raise Refused("invalid_function_parameters", f"Invalid schema for function '{name}': {problem}", param)


def _root_problem(schema: dict[str, Any]) -> str | None:
    kind = schema.get("type")
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if _NOT_AT_THE_ROOT & schema.keys():
        words = "/".join(f"'{word}'" for word in ("oneOf", "anyOf", "allOf", "enum", "not"))
        return f"schema must have type 'object' and not have {words} at the top level."
    return None


def _problems(schema: Any, context: Context) -> Iterator[str]:
    """Yield the problems of this schema and of those below it, in reading order."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"In context={context}, {schema!r} is not of type 'object', 'boolean'."
        return
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            yield f"In context={context}, {kind!r} is not valid under any of the given schemas."
        if kind == "array" and "items" not in schema:
            yield f"In context={context}, array schema missing items."
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
        yield f"In context={context}, {required!r} is not of type 'array'."
    for deeper, inner in _below(schema, context):
        yield from _problems(inner, deeper)


def _below(schema: dict[str, Any], context: Context) -> Iterator[tuple[Context, Any]]:
    for key in _BY_NAME:
        for name, inner in mapping(schema.get(key), key).items():
            yield (*context, key, str(name)), inner
    for key in _LISTS:
        for index, inner in enumerate(schema.get(key) or []):
            yield (*context, key, str(index)), inner
    for key in _SINGLE:
        if key in schema:
            yield (*context, key), schema[key]
