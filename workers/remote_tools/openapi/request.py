"""Conversion of a call's arguments to the request that an operation describes. Decides only; does no I/O.

The model chooses values, never where they go: the operator chose the address and the path, a value of the path is one
segment of it, and a header's value is one line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ringback.errors import ToolError
from workers.remote_tools.openapi.operations import WHOLE_BODY, Body, Operation, Part

_DOTS = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|$)")
_IN_A_HEADER = re.compile(r"[\x20-\x7e]*")
_NOTHING = object()


@dataclass(slots=True)
class Request:
    """Request to be sent. `target` is the path and the query, encoded; `content` is JSON, or None for no body."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None


def request_for(operation: Operation, arguments: dict[str, Any]) -> Request:
    """Return the request.

    Raises:
        ToolError: an argument cannot be sent in its place; the text says which.
    """
    left = dict(arguments)
    path = operation.path
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    for part in operation.parts:
        value = left.pop(part.argument, None)
        if value is None:
            continue
        if part.place == "path":
            path = path.replace(f"{{{part.name}}}", _segment(part, value))
        elif part.place == "header":
            headers[part.name] = _header(part, value)
        else:
            query += _query(part, value)
    target = path + ("?" + "&".join(f"{_encoded(name)}={_encoded(text)}" for name, text in query) if query else "")
    body = _body(operation, left)
    if body is _NOTHING:
        return Request(operation.method.upper(), target, headers)
    headers["Content-Type"] = "application/json"
    return Request(operation.method.upper(), target, headers, json.dumps(body, ensure_ascii=False).encode())


def _body(operation: Operation, left: dict[str, Any]) -> Any:
    match operation.body:
        case Body.WHOLE:
            return left.get(WHOLE_BODY, _NOTHING)
        case Body.FLAT if left or operation.body_required:
            return left
    return _NOTHING


def _segment(part: Part, value: Any) -> str:
    text = _joined(part, value)
    if not text or _DOTS.search(text):
        raise _cannot_be_sent(part, "it must not be empty, and not lead out of its place in a path")
    return _encoded(text)


def _header(part: Part, value: Any) -> str:
    text = _joined(part, value)
    if not _IN_A_HEADER.fullmatch(text):
        raise _cannot_be_sent(part, "it must be plain characters on one line")
    return text


def _query(part: Part, value: Any) -> list[tuple[str, str]]:
    if part.as_json:
        return [(part.name, json.dumps(value, ensure_ascii=False))]
    if isinstance(value, dict):
        return [(f"{part.name}[{key}]", _text(one)) for key, one in value.items()]
    if isinstance(value, list) and part.explode:
        return [(part.name, _text(one)) for one in value]
    return [(part.name, _joined(part, value))]


def _joined(part: Part, value: Any) -> str:
    if part.as_json:
        return json.dumps(value)
    separator = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(part.style, ",")
    return separator.join(map(_text, value)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _cannot_be_sent(part: Part, why: str) -> ToolError:
    return ToolError(
        f"The argument {part.argument} cannot be sent: {why}. Correct it and call again.", code="invalid_arguments"
    )
