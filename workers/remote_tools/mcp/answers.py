"""Conversion of an MCP server's answer to a result or an error. Decides only; does no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ringback.jobs.states import Effect
from workers.execution.retry_policy import DeadlineExceeded
from workers.remote_tools.failures import lost, not_reached, refused

if TYPE_CHECKING:  # the package is an extra: a process that gets here has it
    from mcp.types import CallToolResult, ContentBlock, TextContent

    from workers.remote_tools.mcp.reading import ListedTool

MAX_PARTS = 20
"""Most parts of a result beside its data or text: pictures, links, files. Further ones are only counted."""
MAX_URI_CHARS = 200
ATTACHMENTS = "attachments"
"""Field of the data that holds them."""

NOT_REACHED = 1_001
"""Error code beside those of MCP: the server could not be connected to."""
BROKE_OFF = 1_002
"""The connection ended after the request was sent."""
SESSION_GONE = 1_003
"""The server does not know this session any more, and has not executed the call."""
HTTP_STATUS = 1_400
"""1,400 to 1,599: an HTTP error, 1,000 more than its status."""
NOTHING_DONE = frozenset({NOT_REACHED, SESSION_GONE})

REQUEST_TIMEOUT = -32_001
WRONG_REQUESTS = frozenset({-32_600, -32_601, -32_602})
"""JSON-RPC: the request is at fault, so it would fail again."""


def problem_of(code: int, message: str, server: str, effect: Effect) -> Exception:
    """Return the exception to raise for an error of the protocol or of its transport."""
    status = code - 1_000
    if code in NOTHING_DONE:
        return not_reached(server)
    if code == REQUEST_TIMEOUT:
        return DeadlineExceeded()
    if code in WRONG_REQUESTS:
        return refused(f"{server} refused the call: {message}", "mcp_refused")
    if status == 429:
        return refused(f"{server} has too much to do. Say so, and offer to try again later.", "busy", retryable=True)
    if 400 <= status < 500:
        return refused(f"{server} does not let this call in (HTTP {status}). Say that it must be looked at.", "denied")
    return lost(effect, f"{server} failed amid the call. Say so, and offer to try again later.", "server_failed")


def result_of(answer: CallToolResult) -> Any:
    """Return the answer's data, or else its text. Parts that are neither are described, and not passed off as text.

    Text files are told as text. Beside data, they stand with the descriptions, as `attachments`.

    Raises:
        ToolError: the tool says that it went wrong; the words are the server's.
    """
    if answer.is_error:
        raise refused(in_words(answer.content) or "The function failed, and did not say why.", "mcp_error")
    data, others = answer.structured_content, [part for part in answer.content if part.type != "text"]
    if data is not None and others:
        is_free = isinstance(data, dict) and ATTACHMENTS not in data
        return {**(data if is_free else {"result": data}), ATTACHMENTS: _told(others)}
    if data is not None:
        return data
    return in_words(answer.content) or "[nothing was returned]"


def in_words(content: Iterable[ContentBlock]) -> str:
    """Return its parts, one below the other."""
    return "\n".join(_told(content))


def _told(content: Iterable[ContentBlock]) -> list[str]:
    told: list[str] = []
    left_out = others = 0
    for block in content:
        others += block.type != "text"
        if block.type == "text" or others <= MAX_PARTS:
            told.append(_words_of(block))
        else:
            left_out += 1
    return [*told, f"[and {left_out} more that are not told here]"] if left_out else told


def _words_of(block: Any) -> str:
    match block.type:
        case "text":
            text: TextContent = block
            return text.text
        case "image" | "audio":
            return f"[{block.type}, {_short(block.mime_type)}, {_bytes(block.data)}: it cannot be told here]"
        case "resource_link":
            return f"[link to {_short(block.title or block.name)}: {_short(block.uri)}{_of_type(block.mime_type)}]"
        case "resource":
            inner = block.resource
            if hasattr(inner, "text"):
                return str(inner.text)
            kind = _short(inner.mime_type or "of no known type")
            return f"[file {_short(inner.uri)}, {kind}, {_bytes(inner.blob)}: not told here]"
    return f"[{block.type}: it cannot be told here]"


def _bytes(base64: str) -> str:
    return f"{len(base64) * 3 // 4} bytes"


def _short(text: Any) -> str:
    text = " ".join(str(text).split())
    return text if len(text) < MAX_URI_CHARS else f"{text[: MAX_URI_CHARS - 1]}…"


def _of_type(mime_type: str | None) -> str:
    return f", {_short(mime_type)}" if mime_type else ""


def effect_of(tool: ListedTool) -> Effect:
    """Return what running the tool twice would mean, by its own hints. Without hints, it is not run twice."""
    if tool.hints.get("readOnlyHint") is True:
        return Effect.PURE
    if tool.hints.get("idempotentHint") is True:
        return Effect.IDEMPOTENT
    return Effect.AT_MOST_ONCE


def progress_of(progress: float, total: float | None, message: str | None) -> str:
    """Return a note for the history, and for a caller who waits."""
    if message:
        return message
    return f"{progress:g} of {total:g}" if total else f"{progress:g}"
