"""Operations of an OpenAPI document (3.0 or 3.1): the arguments of each as one flat object that a model can fill in.

Parameters of path, query and headers stand beside the properties of a JSON body. If two would have the same name, a
parameter gets its place in front (`query_id`), and the body stands as a whole under `body`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import yaml

from ringback.errors import ConfigurationError
from ringback.jobs.states import Effect
from ringback.tools.provider_schema import SchemaRefused, rewrite
from workers.remote_tools.openapi import yaml_core
from workers.remote_tools.schemas import inline_references, resolve_reference

METHODS = ("get", "head", "put", "delete", "post", "patch", "options")
EFFECTS = {
    **dict.fromkeys(("get", "head", "options"), Effect.PURE),
    **dict.fromkeys(("put", "delete"), Effect.IDEMPOTENT),
}
"""Effects that HTTP guarantees of its methods. It guarantees none of any other, so that is not run twice."""
NOT_TO_BE_CHOSEN = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie", "host"}
    | {"idempotency-key", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that the worker sets, or the connection."""
WHOLE_BODY = "body"


class Body(Enum):
    """Place of the body's arguments."""

    NONE = auto()
    FLAT = auto()
    """Each property is an argument."""
    WHOLE = auto()
    """The body is one argument."""


@dataclass(frozen=True, slots=True)
class Part:
    """Argument of an operation: where it goes, and how it is written there."""

    argument: str
    name: str
    place: str
    style: str
    explode: bool
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """Operation. `path` still has its `{…}`; arguments that no part takes belong to the body."""

    key: str
    method: str
    path: str
    description: str
    schema: dict[str, Any]
    parts: tuple[Part, ...]
    body: Body
    body_required: bool = False

    @property
    def effect(self) -> Effect:
        """Return what running it twice would mean, by its method."""
        return EFFECTS.get(self.method, Effect.AT_MOST_ONCE)


def document_in(path: Path) -> dict[str, Any]:
    """Return the document of a JSON or YAML file.

    Raises:
        ConfigurationError: it cannot be read, or is none of OpenAPI 3.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if path.suffix == ".json" else yaml_core.load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {_in_words(problem)}") from problem
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise ConfigurationError(f"{path} is no document of OpenAPI 3: it has no `openapi: 3.…`")
    return document


def _in_words(problem: Exception) -> str:
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        return f"line {problem.problem_mark.line + 1}: {problem.problem}"
    return " ".join(str(problem).split())


def operation(document: dict[str, Any], key: str, fixed_headers: frozenset[str] = frozenset()) -> Operation:
    """Return the operation with this operationId, or the one that `GET /orders/{id}` names.

    Raises:
        SchemaRefused: there is none, or it cannot be served; the text says why, without naming it.
    """
    for method, path, shared, said in _operations(document):
        if key in (said.get("operationId"), f"{method.upper()} {path}"):
            return _operation(document, key, method, path, _parameters(document, shared, said, fixed_headers), said)
    known = ", ".join(
        str(said.get("operationId") or f"{method.upper()} {path}") for method, path, _, said in _operations(document)
    )
    raise SchemaRefused(f"the document has no such operation; it has {known or 'none'}")


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for path, item in _resolved(document.get("paths") or {}, document).items():
        item = _resolved(item, document)
        for method in METHODS:
            if isinstance(item.get(method), dict):
                yield method, path, item, item[method]


def _resolved(node: Any, document: Any) -> dict[str, Any]:
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        node = resolve_reference(node["$ref"], document)
    if not isinstance(node, dict):
        raise SchemaRefused(f"{str(node)[:40]!r} stands where an object should")
    return node


def _parameters(
    document: Any, shared: dict[str, Any], said: dict[str, Any], fixed_headers: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the parameters of the path and of the operation, which win."""
    every = [_resolved(one, document) for one in [*(shared.get("parameters") or ()), *(said.get("parameters") or ())]]
    kept = {(one.get("in"), one.get("name")): one for one in every}
    closed = NOT_TO_BE_CHOSEN | fixed_headers
    return [one for (place, name), one in kept.items() if not (place == "header" and str(name).lower() in closed)]


def _operation(
    document: Any, key: str, method: str, path: str, given: list[dict[str, Any]], said: dict[str, Any]
) -> Operation:
    properties: dict[str, Any] = {}
    required: list[str] = []
    parts = []
    for one in given:
        if one.get("in") == "cookie":
            if one.get("required"):
                raise SchemaRefused(f"it needs the cookie {one.get('name')}; cookies are not sent")
            continue
        part, schema = _part(document, one, properties)
        properties[part.argument] = schema
        parts.append(part)
        if one.get("required") or part.place == "path":
            required.append(part.argument)
    body, insists = _add_body(document, said, properties, required)
    words = "\n".join(str(said[name]).strip() for name in ("summary", "description") if said.get(name))
    schema = rewrite({"properties": properties, **({"required": required} if required else {})})
    return Operation(key, method, path, words or f"{method.upper()} {path}", schema, tuple(parts), body, insists)


def _part(document: Any, one: dict[str, Any], taken: dict[str, Any]) -> tuple[Part, dict[str, Any]]:
    name, place = str(one.get("name")), str(one.get("in"))
    if place not in ("path", "query", "header"):
        raise SchemaRefused(f"its parameter {name} stands in {place}, which is none of path, query and header")
    content = next(iter((one.get("content") or {}).values()), None)
    written = (content or one).get("schema") or {}
    words = {name: one[name] for name in ("description", "deprecated") if isinstance(one.get(name), str | bool)}
    schema = inline_references({**written, **words} if isinstance(written, dict) else words, document, for_request=True)
    style = str(one.get("style") or ("form" if place == "query" else "simple"))
    as_json = content is not None
    if "object" in _types(schema) and not as_json and style != "deepObject":
        raise SchemaRefused(f"its parameter {name} is an object, which is sent only with style: deepObject")
    argument = f"{place}_{name}" if name in taken else name
    return Part(argument, name, place, style, bool(one.get("explode", style == "form")), as_json), schema


def _types(schema: dict[str, Any]) -> list[str]:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return kind if isinstance(kind, list) else [kind]


def _add_body(
    document: Any, said: dict[str, Any], properties: dict[str, Any], required: list[str]
) -> tuple[Body, bool]:
    """Add the body, or its properties, to the arguments; return whether it is required."""
    if not said.get("requestBody"):
        return Body.NONE, False
    asked = _resolved(said["requestBody"], document)
    insists = bool(asked.get("required"))
    content = asked.get("content") or {}
    kinds = [kind for kind in content if kind.partition(";")[0].strip().endswith(("/json", "+json"))]
    if not kinds:
        if insists:
            raise SchemaRefused(f"its body is {', '.join(content) or 'of no known type'}; only JSON is sent")
        return Body.NONE, False
    schema = inline_references(content[kinds[0]].get("schema") or {}, document, for_request=True)
    schema = _merged(schema) if isinstance(schema, dict) else {}
    inner = schema.get("properties", {})
    is_closed = not schema.get("additionalProperties") and not {"anyOf", "allOf"} & schema.keys()
    if inner and is_closed and not inner.keys() & properties.keys():
        properties.update(inner)
        required += [name for name in schema.get("required", ()) if insists and name in inner]
        return Body.FLAT, insists
    if WHOLE_BODY in properties:
        raise SchemaRefused(f"it has a parameter and a body that would both be called {WHOLE_BODY}")
    properties[WHOLE_BODY] = schema
    required += [WHOLE_BODY] if insists else []
    return Body.WHOLE, insists


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """Merge an `allOf` of plain objects into one object: documents write so that one extends another."""
    parts = [_merged(part) for part in schema.get("allOf", ()) if isinstance(part, dict)]
    plain = {"type", "properties", "required", "description"}
    if not parts or len(parts) != len(schema["allOf"]) or any(part.keys() - plain for part in parts):
        return schema
    every = [*parts, {key: value for key, value in schema.items() if key != "allOf"}]
    whole: dict[str, Any] = {}
    for part in every:
        whole |= part
    whole["properties"] = {name: one for part in every for name, one in part.get("properties", {}).items()}
    whole["required"] = list(dict.fromkeys(name for part in every for name in part.get("required", ())))
    return whole
