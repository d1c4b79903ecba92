"""Schema of a tool's arguments, in the form that Realtime providers accept.

A provider refuses a whole `session.update` for one schema that it does not accept, so that no tool of the session
works. OpenAI wants an object at the root without combinators, and `items` in every array. `rewrite` converts a schema
to that form if it can. The result takes no argument that the original does not name. Otherwise it is looser, never
stricter, so the worker checks the arguments again. `check` refuses the rest at declaration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ringback.errors import ConfigurationError

MAX_SCHEMA_CHARS = 16_000
"""As JSON, about 4,000 tokens: instructions and all tools share 16,384 of them on gpt-realtime."""
MAX_DEPTH = 32
"""Nested objects and lists. A gateway reads events of the provider up to 64 deep; they echo the schema."""
MAX_PLACE_CHARS = 80
"""Most characters of a place in the schema, in a sentence."""

_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
_NOT_AT_ROOT = ("allOf", "anyOf", "oneOf", "enum", "const", "not")
_NUMBERS = ("default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_OF_ARGUMENTS = {"properties", "required", "additionalProperties"}

Schema = dict[str, Any]


class SchemaRefused(ConfigurationError):
    """Error of a schema that cannot be offered to a model; the text says where and what to do, without the tool's
    name.
    """


def rewrite(schema: Schema) -> Schema:
    """Return the schema of a whole call, in the form that providers accept.

    Raises:
        SchemaRefused: it is no JSON schema, or describes no object.
    """
    _as_json(schema, allow_nan=True)
    _check_metaschema(schema)
    return _as_root(_rewritten(schema))


def check(schema: Schema) -> None:
    """Raise SchemaRefused unless every known provider accepts the schema, as far as that is known."""
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        raise SchemaRefused("its arguments are no object with properties; describe them as one object")
    for key in _NOT_AT_ROOT:
        if key in schema:
            raise SchemaRefused(f"its schema has {key} at the root, which providers refuse; move it into a property")
    text = _as_json(schema)
    if len(text) > MAX_SCHEMA_CHARS:
        raise SchemaRefused(
            f"its schema has {len(text)} characters, at most {MAX_SCHEMA_CHARS} can be offered to a model; take fewer "
            "or simpler arguments, or shorten their descriptions"
        )
    for place, node in _nodes(schema, ()):
        _check_node(place, node)
    _check_metaschema(schema)


def _as_json(schema: Schema, allow_nan: bool = False) -> str:
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=allow_nan)
        text.encode()
        depth = _depth(schema)
    except (TypeError, ValueError, RecursionError) as problem:
        raise SchemaRefused(f"its schema is not JSON ({problem}); use JSON values alone") from None
    if r"\u0000" in text.replace(r"\\", ""):
        raise SchemaRefused("its schema has a NUL character, which cannot be stored; remove it")
    if depth > MAX_DEPTH:
        raise SchemaRefused(f"its schema is nested deeper than {MAX_DEPTH}; take flatter arguments")
    return text


def _check_node(place: tuple[str, ...], node: Any) -> None:
    where = _written(place)
    if not isinstance(node, dict):
        raise SchemaRefused(f"{str(node)[:40]!r} stands at {where}, where a schema should; write an object")
    if "$ref" in node:
        raise SchemaRefused(f"its schema refers to {node['$ref']!r} at {where}; write out what that stands for")
    if "array" in _types(node) and not isinstance(node.get("items"), dict):
        raise SchemaRefused(f"the array at {where} has no items, which providers refuse; say what its items are")
    if node.get("enum") == []:
        raise SchemaRefused(f"the enum at {where} has no value, so that nothing fits; give it one")


def _check_metaschema(schema: Schema) -> None:
    # Importing jsonschema takes 0.1 s, which a program without tools saves.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as problem:
        where = _written(map(str, problem.absolute_path))
        if problem.validator == "format":  # Of a pattern: pydantic reads another dialect than the gateway.
            raise SchemaRefused(f"{problem.message[:200]} that Python's re reads, at {where}; rewrite it") from None
        raise SchemaRefused(f"its schema is no JSON schema at {where}: {problem.message[:200]}") from None


def _rewritten(node: Any) -> Any:
    """Rewrite one schema and what is inside it."""
    if node is True:
        return {}
    if not isinstance(node, dict):
        return node
    told = {key: value for key, value in node.items() if key not in _NUMBERS or _is_json(value)}
    for key in told.keys() & {*_MAPS, *_LISTS, *_SINGLE}:
        told[key] = _part(key, told[key])
    return _with_items(told, node) if "array" in _types(told) or "prefixItems" in told else told


def _part(key: str, value: Any) -> Any:
    if key in _MAPS and isinstance(value, dict):
        return {name: _rewritten(part) for name, part in value.items() if part is not False}
    if key in _LISTS and isinstance(value, list):
        return [_rewritten(part) for part in value if part is not False or key == "prefixItems"]
    if isinstance(value, bool):  # unchanged, where no schema has to stand
        return value
    return _rewritten(value) if key in _SINGLE else value


def _with_items(told: Schema, node: Schema) -> Schema:
    """Give an array its `items`: for a tuple, any of its members, and a description of their order."""
    members, rest = told.pop("prefixItems", []), told.get("items")
    if rest is False:
        told["maxItems"] = min(told.get("maxItems", len(members)), len(members))
    is_bounded = "maxItems" in told and told["maxItems"] <= len(members)
    others = [] if is_bounded else [rest] if isinstance(rest, dict) else [{}]
    fitting = _unique(_without_names(part) for part in [*members, *others] if isinstance(part, dict))
    told["items"] = fitting[0] if len(fitting) == 1 else {} if {} in fitting or not fitting else {"anyOf": fitting}
    kinds = [_in_a_word(member) for member in node.get("prefixItems", ())]
    if len(set(kinds)) > 1:
        order = f"In this order: {', '.join(kinds)}."
        told["description"] = f"{told['description']} {order}" if told.get("description") else order
    return told


def _without_names(member: Schema) -> Schema:
    """Remove what differs between members of one kind."""
    return {key: value for key, value in member.items() if key not in ("title", "default")}


def _in_a_word(member: Any) -> str:
    """Describe a member of a tuple by its title and type."""
    if not isinstance(member, dict):
        return "anything"
    reference = str(member.get("$ref", "")).rpartition("/")[2]
    kind = " or ".join(_types(member)) or reference or "any"
    title = member.get("title")
    return f"{title} ({kind})" if isinstance(title, str) else kind


def _as_root(schema: Schema) -> Schema:
    """Merge the combinators at the root into its properties."""
    merged = _merged(schema)
    if merged is None:
        raise SchemaRefused("its arguments are not an object; describe them as one")
    says_more = any(key in schema for key in _NOT_AT_ROOT)
    is_open = says_more and not merged.get("properties")
    root = {"type": "object", "properties": {}, "additionalProperties": is_open, **merged}
    # No call could fit a tool that requires an argument which it does not take.
    known = root["properties"] if root["additionalProperties"] is False else root.get("required", ())
    required = [name for name in root.pop("required", ()) if name in known]
    return {**root, "required": required} if required else root


def _merged(schema: Any) -> Schema | None:
    """Return the schema of an object without combinators; None if no object fits."""
    if not isinstance(schema, dict) or "object" not in (_types(schema) or ["object"]):
        return None
    whole = {key: value for key, value in schema.items() if key not in _NOT_AT_ROOT} | {"type": "object"}
    parts = [_merged(part) for part in schema.get("allOf", ())]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            branches = [one for one in map(_merged, schema[key]) if one is not None]
            parts.append(_either(branches) if branches else None)
    for part in parts:
        if part is None:
            return None
        whole = _both(whole, part)
    return whole


def _both(one: Schema, other: Schema) -> Schema:
    """Merge two objects that hold at once."""
    merged = {**other, **one}
    if "properties" in merged:
        merged["properties"] = _properties((one, other), "allOf")
    if "required" in merged:
        merged["required"] = _unique(name for part in (one, other) for name in part.get("required", ()))
    if words := _unique(part["description"] for part in (one, other) if part.get("description")):
        merged["description"] = " ".join(words)
    return merged


def _either(branches: list[Schema]) -> Schema:
    """Merge objects of which one holds: what all of them require is required, and a description tells the rest."""
    asked = [branch.get("required", []) for branch in branches]
    merged: Schema = {"required": [name for name in asked[0] if all(name in names for names in asked)]}
    if any("properties" in branch for branch in branches):
        merged["properties"] = _properties(branches, "anyOf")
    if all(branch.get("additionalProperties") is False for branch in branches):
        merged["additionalProperties"] = False
    elif any(branch.get("additionalProperties") or not _OF_ARGUMENTS & branch.keys() for branch in branches):
        merged["additionalProperties"] = True
    choices = _unique(" and ".join(names) for names in asked if names)
    if len(choices) > 1:
        merged["description"] = f"Give one of these: {'; '.join(choices)}."
    return merged


def _properties(objects: Iterable[Schema], combinator: str) -> Schema:
    """Merge the properties; one that several objects describe in different ways keeps all of them."""
    found: dict[str, list[Any]] = {}
    for each in objects:
        for name, part in each.get("properties", {}).items():
            found[name] = _unique([*found.get(name, ()), part])
    return {name: parts[0] if len(parts) == 1 else {combinator: parts} for name, parts in found.items()}


def _nodes(node: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each schema inside this one, itself first, with its place."""
    yield place, node
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in _MAPS and isinstance(value, dict):
            inner: list[tuple[tuple[str, ...], Any]] = [((key, str(name)), part) for name, part in value.items()]
        elif key in _LISTS and isinstance(value, list):
            inner = [((key, str(number)), part) for number, part in enumerate(value)]
        elif key in _SINGLE and not isinstance(value, bool):
            inner = [((key,), value)]
        else:
            continue
        for step, part in inner:
            yield from _nodes(part, (*place, *step))


def _types(node: Schema) -> list[str]:
    kind = node.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def _unique(values: Iterable[Any]) -> list[Any]:
    """Return each value once, in order; schemas cannot be hashed."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _is_json(value: Any) -> bool:
    """Return false for NaN and infinity, which JSON does not have; a bound of infinity bounds no value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _written(place: Iterable[str]) -> str:
    text = ".".join(place)
    return "the root" if not text else text if len(text) <= MAX_PLACE_CHARS else f"…{text[-MAX_PLACE_CHARS:]}"
