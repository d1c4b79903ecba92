"""Reader of an MCP server's lists and answers, part by part: a malformed part costs only itself. Decides only.

The `mcp` package validates a list of tools, and a result, as a whole. One wrong tool would cost all tools, and one
unknown part a result although the function ran. So each message is put into a form that the package accepts before the
package reads it. The worker keeps each tool as it was listed, and checks its schema itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_KIND_CHARS = 40
"""Most characters of an unknown part's type."""

_PARTS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("name", "uri"),
}
"""Known parts of a result, each with the texts that it must have."""
_MORE = ("title", "mimeType")


@dataclass(frozen=True, slots=True)
class ListedTool:
    """Tool as its server lists it; `schema` is unchecked."""

    name: str
    schema: Any
    description: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict)


def parse_tool(raw: Any) -> ListedTool | None:
    """Return the tool; None if it has no name to call it by."""
    name = raw.get("name") if isinstance(raw, dict) else None
    if not isinstance(name, str) or not name:
        return None
    words = [raw[key] for key in ("description", "title") if isinstance(raw.get(key), str) and raw[key].strip()]
    hints = raw.get("annotations")
    return ListedTool(name, raw.get("inputSchema"), (words or [name])[0], hints if isinstance(hints, dict) else {})


def readable_list(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a list of tools as the package accepts it: with a name, and a schema of the arguments.

    Each comes without its `outputSchema`: the package would check every result against it, with its patterns, on the
    loop of all calls.
    """
    tools = [(tool.name, tool.schema) for tool in map(parse_tool, result["tools"]) if tool is not None]
    plain = [
        {"name": name, "inputSchema": schema if _is_plain(schema) else {"type": "object"}} for name, schema in tools
    ]
    return {**result, "tools": plain}


def readable_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a call as the package accepts it: parts that it does not know are described in words."""
    content, data = result.get("content"), result.get("structuredContent")
    parts = [_readable_part(part) for part in content] if isinstance(content, list) else []
    if data is not None and not isinstance(data, dict):  # servers of before 2026 may only have objects there
        parts = parts or [{"type": "text", "text": json.dumps(data, ensure_ascii=False)}]
        return {**_without_data(result), "content": parts}
    return {**result, "content": parts}


def _without_data(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "structuredContent"}


def _readable_part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "resource" and (resource := _readable_resource(part.get("resource"))):
        return {"type": kind, "resource": resource}
    texts = _PARTS.get(kind) if isinstance(kind, str) else None
    if texts is not None and all(isinstance(part.get(key), str) for key in texts):
        return {key: part[key] for key in ("type", *texts, *_MORE) if isinstance(part.get(key), str)}
    return {"type": "text", "text": f"[{str(kind)[:MAX_KIND_CHARS]}: it cannot be told here]"}


def _readable_resource(resource: Any) -> dict[str, Any] | None:
    if not isinstance(resource, dict) or not isinstance(resource.get("uri"), str):
        return None
    known = {key: resource[key] for key in ("uri", "mimeType", "text", "blob") if isinstance(resource.get(key), str)}
    return known if known.keys() & {"text", "blob"} else None


def _is_plain(schema: Any) -> bool:
    """Return true for a schema of which the package looks at no more than this."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return False
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    in_words = all(isinstance(name, str) for name in required) and isinstance(schema.get("$schema", ""), str)
    return in_words and all(isinstance(part, dict) for part in properties.values())
