"""JSON schema of a remote tool, in a form that a model can read and a gateway can check.

It comes from an outside server, and the gateway checks arguments against it. So it has no reference outside of itself,
it ends, it has a bound, and its regular expressions are described and never run. The result is looser than the
original, never stricter: the server checks the arguments again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ringback.tools.provider_schema import SchemaRefused

MAX_WORDS_CHARS = 300
"""Most characters of one argument's description: instructions and all tools share 16,384 tokens on gpt-realtime."""
MAX_NODES = 20_000
"""A few kilobytes of references can stand for an endless schema."""

_LITERAL = frozenset({"default", "const", "enum", "required", "type", "format"})
_REFERENCES = ("$ref", "$dynamicRef")
_MANY = frozenset({"allOf", "anyOf", "prefixItems"})
_ONE = frozenset({"items", "additionalProperties", "propertyNames"})
_NUMBERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
    | {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
)


def inline_references(schema: Any, document: Any, *, for_request: bool = False) -> Any:
    """Return the schema with each reference replaced by its target in `document`, and without unchecked keywords.

    A schema that contains itself is cut where it does: any value fits there, and the server checks it.

    Args:
        for_request: leave out the properties that are `readOnly`, even if `required` lists them (OpenAPI).

    Raises:
        SchemaRefused: it points outside of the document, or to no part of it, or has no bound.
    """
    try:
        return _Reader(document, for_request).read(schema, ())
    except RecursionError:
        raise SchemaRefused("its schema is nested too deeply; take flatter arguments") from None


def resolve_reference(reference: str, document: Any) -> Any:
    """Return the target of a reference such as `#/components/schemas/Order` or `#order` in the document."""
    if not reference.startswith("#"):
        raise SchemaRefused(f"it refers to {reference}, which is outside of it; put everything into one document")
    fragment = unquote(reference.removeprefix("#"))
    if fragment and not fragment.startswith("/"):
        return _anchored(fragment, document)
    found = document
    for part in fragment.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            raise SchemaRefused(f"it refers to {reference}, which is not there")
    return found


def _anchored(name: str, document: Any) -> Any:
    for number, node in enumerate(_every(document)):
        if isinstance(node, dict) and name in (node.get("$anchor"), node.get("$dynamicAnchor")):
            return node
        if number > MAX_NODES:
            break
    raise SchemaRefused(f"it refers to #{name}, which is not there")


def _every(value: Any) -> Iterator[Any]:
    """Yield each part of JSON data, itself first."""
    left = [value]
    while left:
        node = left.pop()
        yield node
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


@dataclass
class _Reader:
    document: Any
    for_request: bool = False
    nodes: int = 0

    def read(self, node: Any, path: tuple[str, ...], hidden: frozenset[str] = frozenset()) -> Any:
        """Return the schema. `path` are the references that led here; `hidden` are properties that it does not have."""
        self._count()
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            raise SchemaRefused(f"{str(node)[:40]!r} stands where a schema should")
        if self.for_request:
            hidden |= self._read_only_names(node, path)
        reference = _reference(node)
        if reference is not None:
            return {} if reference in path else self._referred(reference, node, path, hidden)
        if isinstance(node.get("items"), list):  # as drafts before 2020-12 wrote it
            node = {**node, "prefixItems": node["items"], "items": node.get("additionalItems", True)}
        if "oneOf" in node and "anyOf" not in node:
            node = {**node, "anyOf": node["oneOf"]}
        told: dict[str, Any] = {}
        for key, value in node.items():
            told |= self._part(key, value, path, hidden)
        if "patternProperties" in node:
            told["additionalProperties"] = True
        return _in_words(_of_one_type(_of_today(told, node)), node)

    def _referred(self, reference: str, node: dict[str, Any], path: tuple[str, ...], hidden: frozenset[str]) -> Any:
        """Return what the reference stands for, with what stands beside it."""
        rest = {key: value for key, value in node.items() if key not in (*_REFERENCES, "nullable")}
        inner = self.read(resolve_reference(reference, self.document), (*path, reference), hidden)
        if not isinstance(inner, dict):
            return inner
        whole = _together(inner, self.read(rest, path, hidden))
        return _or_null(whole) if node.get("nullable") is True else whole

    def _part(self, key: str, value: Any, path: tuple[str, ...], hidden: frozenset[str]) -> dict[str, Any]:
        if key == "required" and isinstance(value, list):
            return {key: [name for name in value if not isinstance(name, str) or name not in hidden]}
        if key in _LITERAL or key in _NUMBERS:
            return {key: value}
        if key == "properties" and isinstance(value, dict):
            return {key: {name: self.read(part, path) for name, part in value.items() if name not in hidden}}
        if key == "dependentSchemas" and isinstance(value, dict):
            return {key: {name: self.read(part, path, hidden) for name, part in value.items()}}
        if key in _MANY and isinstance(value, list):
            same = frozenset() if key == "prefixItems" else hidden
            return {key: [self.read(part, path, same) for part in value]}
        if key in _ONE:
            return {key: self.read(value, path)}
        return {}

    def _read_only_names(self, node: Any, path: tuple[str, ...]) -> frozenset[str]:
        """Return the read-only properties of this object, also if another part of the same object says so."""
        found: frozenset[str] = frozenset()
        for part in self._parts_of(node, path):
            properties = part.get("properties")
            if isinstance(properties, dict):
                found |= {name for name, schema in properties.items() if self._is_read_only(schema, path)}
        return found

    def _is_read_only(self, schema: Any, path: tuple[str, ...]) -> bool:
        return any(part.get("readOnly") is True for part in self._parts_of(schema, path))

    def _parts_of(self, node: Any, path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Yield the schemas that hold for one value: this one, what it refers to, and what it is all of."""
        self._count()
        if not isinstance(node, dict):
            return
        yield node
        reference, every = _reference(node), node.get("allOf")
        if reference is not None and reference not in path:
            yield from self._parts_of(resolve_reference(reference, self.document), (*path, reference))
        for part in every if isinstance(every, list) else ():
            yield from self._parts_of(part, path)

    def _count(self) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise SchemaRefused(f"its schema has more than {MAX_NODES} parts")


def _reference(node: dict[str, Any]) -> str | None:
    return next((node[key] for key in _REFERENCES if isinstance(node.get(key), str)), None)


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Merge a schema with what stands beside its reference: that one's words win, and the rules of both hold."""
    clashing = {key for key in one.keys() & other.keys() if one[key] != other[key]}
    if clashing <= {"description", "default"}:
        return {**one, **other}
    words: dict[str, Any] = {key: other[key] for key in ("description", "default") if key in other}
    return {**words, "allOf": [one, {key: value for key, value in other.items() if key not in words}]}


def _of_today(told: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Convert two constructs that OpenAPI 3.0 writes in its own way."""
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(told.get(bound), bool) and told.pop(bound) and limit in told:
            told[bound] = told.pop(limit)
    return _or_null(told) if node.get("nullable") is True else told


def _or_null(told: dict[str, Any]) -> dict[str, Any]:
    """Let null fit, too. OpenAPI 3.0 says so of a schema with a type only; documents say it of any."""
    if told.keys() & {"allOf", "anyOf", "const"}:
        return {"anyOf": [told, {"type": "null"}]}
    told = dict(told)
    types = told.get("type")
    if isinstance(types, str):
        told["type"] = [types, "null"]
    elif isinstance(types, list) and "null" not in types:
        told["type"] = [*types, "null"]
    if isinstance(told.get("enum"), list) and None not in told["enum"]:
        told["enum"] = [*told["enum"], None]
    return told


def _of_one_type(told: dict[str, Any]) -> dict[str, Any]:
    """Refuse numbers among texts: in YAML a text that looks like a number is one, so `1.10` has become 1.1."""
    if told.get("type") != "string":
        return told
    values = told.get("enum")
    for value in [*(values if isinstance(values, list) else ()), told.get("const")]:
        if not isinstance(value, str | None):
            raise SchemaRefused(f"it says type: string, and names {value!r} as a value; put that into quotes")
    return told if isinstance(told.get("default", ""), str) else {k: v for k, v in told.items() if k != "default"}


def _in_words(told: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    words = node.get("description")
    text = " ".join(words.split()) if isinstance(words, str) else ""
    if isinstance(node.get("pattern"), str):
        text = f"{text} Must match {node['pattern']}".strip()
    if node.get("deprecated") is True:
        text = f"Deprecated. {text}".strip()
    return {**told, "description": text[:MAX_WORDS_CHARS]} if text else told
