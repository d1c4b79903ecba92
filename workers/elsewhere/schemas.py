"""A JSON schema from elsewhere, as a model can read it and a gateway can check it.

It comes from others, and is held against arguments in the gateway. So nothing in it points outside of it, it ends, it
has a bound, and the regular expressions in it are told and never run. What is left is looser than what came, never
stricter: whoever gets the arguments checks them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ringback.tool_schema import SchemaRefused

MAX_WORDS_CHARS = 300
"""Of the description of one argument: instructions and all tools share 16,384 tokens on gpt-realtime."""
MAX_NODES = 20_000
"""A few kilobytes of references can stand for a schema without end."""

_LITERAL = frozenset({"default", "const", "enum", "required", "type", "format"})
_NAMED = frozenset({"properties", "dependentSchemas"})
_MANY = frozenset({"allOf", "anyOf", "prefixItems"})
_ONE = frozenset({"items", "additionalProperties", "propertyNames"})
_NUMBERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
    | {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
)


def as_told(schema: Any, document: Any) -> Any:
    """The schema with each reference replaced by what it points to in `document`, and nothing that is not checked.

    What contains itself is cut where it does: anything fits there, and whoever gets the arguments checks them.

    Raises:
        SchemaRefused: it points outside of the document, or to nothing in it, or has no bound.
    """
    return _Reader(document).read(schema, ())


def pointed_at(reference: str, document: Any) -> Any:
    """What a reference such as `#/components/schemas/Order` points to in the document."""
    if not reference.startswith("#"):
        raise SchemaRefused(f"it refers to {reference}, which is outside of it; put everything into one document")
    found = document
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~").replace("%20", " ")
        if isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            raise SchemaRefused(f"it refers to {reference}, which is not there")
    return found


@dataclass
class _Reader:
    document: Any
    nodes: int = 0

    def read(self, node: Any, path: tuple[str, ...]) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise SchemaRefused(f"its schema has more than {MAX_NODES} parts")
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            raise SchemaRefused(f"{str(node)[:40]!r} stands where a schema should")
        reference = node.get("$ref")
        if isinstance(reference, str):
            if reference in path:
                return {}
            rest = {key: value for key, value in node.items() if key != "$ref"}
            inner = self.read(pointed_at(reference, self.document), (*path, reference))
            return {**inner, **self.read(rest, path)} if isinstance(inner, dict) else inner
        if isinstance(node.get("items"), list):  # as drafts before 2020-12 wrote it
            node = {**node, "prefixItems": node["items"], "items": node.get("additionalItems", True)}
        if "oneOf" in node and "anyOf" not in node:
            node = {**node, "anyOf": node["oneOf"]}
        told: dict[str, Any] = {}
        for key, value in node.items():
            told |= self._part(key, value, path)
        if "patternProperties" in node:
            told["additionalProperties"] = True
        return _in_words(_of_today(told, node), node)

    def _part(self, key: str, value: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if key in _LITERAL or key in _NUMBERS:
            return {key: value}
        if key in _NAMED and isinstance(value, dict):
            return {key: {name: self.read(part, path) for name, part in value.items()}}
        if key in _MANY and isinstance(value, list):
            return {key: [self.read(part, path) for part in value]}
        if key in _ONE:
            return {key: self.read(value, path)}
        return {}


def _of_today(told: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0 writes two things in its own way."""
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(told.get(bound), bool) and told.pop(bound) and limit in told:
            told[bound] = told.pop(limit)
    if node.get("nullable") is True and isinstance(told.get("type"), str):
        told["type"] = [told["type"], "null"]
        if isinstance(told.get("enum"), list) and None not in told["enum"]:
            told["enum"] = [*told["enum"], None]
    return told


def _in_words(told: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    words = node.get("description")
    text = " ".join(words.split()) if isinstance(words, str) else ""
    if isinstance(node.get("pattern"), str):
        text = f"{text} Must match {node['pattern']}".strip()
    return {**told, "description": text[:MAX_WORDS_CHARS]} if text else told
