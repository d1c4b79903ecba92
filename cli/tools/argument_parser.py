"""Parses typed arguments, `count=3 when=2026-01-01`, by the tool's schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from ringback.errors import ConfigurationError
from ringback.tools import misfits
from ringback.tools.spec import ToolSpec


def arguments(tool: ToolSpec, words: Iterable[str], text: str | None = None) -> dict[str, Any]:
    """Return the arguments typed as `key=value`, merged over those of the JSON object `text`.

    Raises:
        ConfigurationError: they do not fit the schema; one sentence says which.
    """
    given = {} if text is None else json_object("--json", text)
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"{word!r} is no argument: write key=value, such as {_example(properties)}")
        given[name] = _value(value, properties.get(name, {}))
    unknown = sorted(set(given) - set(properties))
    if unknown and tool.parameters.get("additionalProperties") is False:
        raise ConfigurationError(f"{tool.name} takes {', '.join(properties) or 'no arguments'}, and not {unknown[0]}")
    found = misfits.of_schema(Draft202012Validator(tool.parameters).iter_errors(given))
    if found:
        raise ConfigurationError(f"{misfits.told(found)}; see `ringback tools schema {tool.name}`")
    return given


def json_object(option: str, text: str) -> dict[str, Any]:
    """Return the JSON object in `text`.

    Raises:
        ConfigurationError: it is none; the sentence names the option.
    """
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise ConfigurationError(f"{option} is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f'{option} must be one JSON object, such as \'{{"city": "Rome"}}\'')
    return value


def _value(text: str, schema: Any) -> Any:
    """Return the JSON value if the schema accepts it (3, true, {…}), else the text."""
    if isinstance(schema, dict) and schema.get("type") == "string":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    # A choice of texts may have one that looks like a number.
    fits = Draft202012Validator(schema).is_valid
    return text if not fits(value) and fits(text) else value


def _example(properties: Mapping[str, Any]) -> str:
    return f"{next(iter(properties), 'city')}=…"
