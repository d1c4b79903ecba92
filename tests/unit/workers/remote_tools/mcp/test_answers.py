"""Result or error for each answer of an MCP server."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from ringback.errors import ToolError
from ringback.jobs.states import Effect
from workers.execution.retry_policy import DeadlineExceeded
from workers.remote_tools.failures import ConnectionLost
from workers.remote_tools.mcp import answers
from workers.remote_tools.mcp.answers import effect_of, problem_of, progress_of, result_of
from workers.remote_tools.mcp.reading import parse_tool

ONCE, IDEMPOTENT, PURE = Effect.AT_MOST_ONCE, Effect.IDEMPOTENT, Effect.PURE
HELLO = TextContent(text="hello")
INSIDE = {"attachments": ["inside"]}
LINK = {"attachments": ["[link to n: a:b]"]}


@pytest.mark.parametrize(
    ("content", "structured", "result"),
    [
        ([HELLO], {"a": 1}, {"a": 1}),
        ([HELLO], None, "hello"),
        ([HELLO, TextContent(text="you")], None, "hello\nyou"),
        ([], None, "[nothing was returned]"),
        (
            [ImageContent(data="A" * 8, mime_type="image/png")],
            None,
            "[image, image/png, 6 bytes: it cannot be told here]",
        ),
        ([AudioContent(data="", mime_type="audio/wav")], None, "[audio, audio/wav, 0 bytes: it cannot be told here]"),
        ([ResourceLink(name="n", title="The map", uri="a://b")], None, "[link to The map: a://b]"),
        ([EmbeddedResource(resource=TextResourceContents(uri="a://b", text="inside"))], None, "inside"),
        (
            [ResourceLink(name="n", uri="a://" + "b" * 500, mime_type="text/html")],
            None,
            f"[link to n: a://{'b' * 195}…, text/html]",
        ),
        ([HELLO, ResourceLink(name="n", uri="a://b")], {"a": 1}, {"a": 1, "attachments": ["[link to n: a://b]"]}),
        ([EmbeddedResource(resource=TextResourceContents(uri="a://b", text="inside"))], [1], {"result": [1], **INSIDE}),
        ([ResourceLink(name="n", uri="a:b")], {"attachments": 2}, {"result": {"attachments": 2}, **LINK}),
        (
            [HELLO, *[ResourceLink(name="n", uri="a:b")] * 25, HELLO],
            None,
            "\n".join(["hello", *["[link to n: a:b]"] * 20, "hello", "[and 5 more that are not told here]"]),
        ),
        (
            [EmbeddedResource(resource=BlobResourceContents(uri="a://b", blob="AAAA"))],
            None,
            "[file a://b, of no known type, 3 bytes: not told here]",
        ),
    ],
)
def test_a_result_is_its_data_or_else_its_text_and_the_rest_is_described(
    content: Any, structured: Any, result: Any
) -> None:
    assert result_of(CallToolResult(content=content, structured_content=structured)) == result


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("there is no\n such ticket", "there is no such ticket"),
        ("", "did not say why"),
        ("x" * 5_000, "x" * 600 + " …"),
    ],
)
def test_an_error_of_the_tool_is_told_in_its_words(text: str, words: str) -> None:
    with pytest.raises(ToolError) as refused:
        result_of(CallToolResult(content=[TextContent(text=text)] if text else [], is_error=True))
    assert words in refused.value.message
    assert (refused.value.code, refused.value.retryable) == ("mcp_error", False)


@pytest.mark.parametrize(
    ("code", "effect", "kind", "name", "retryable"),
    [
        (answers.NOT_REACHED, ONCE, ToolError, "not_reached", True),
        (answers.SESSION_GONE, ONCE, ToolError, "not_reached", True),
        (-32_602, ONCE, ToolError, "mcp_refused", False),
        (-32_601, PURE, ToolError, "mcp_refused", False),
        (1_401, ONCE, ToolError, "denied", False),
        (1_429, ONCE, ToolError, "busy", True),
        (1_503, PURE, ToolError, "server_failed", True),
        (1_503, ONCE, ConnectionLost, None, None),
        (-32_000, PURE, ToolError, "server_failed", True),
        (-32_000, ONCE, ConnectionLost, None, None),
        (answers.BROKE_OFF, IDEMPOTENT, ToolError, "server_failed", True),
        (answers.BROKE_OFF, ONCE, ConnectionLost, None, None),
        (-32_603, ONCE, ConnectionLost, None, None),
        (-32_001, PURE, DeadlineExceeded, None, None),
    ],
)
def test_what_went_wrong_says_whether_it_may_have_been_done(
    code: int, effect: Effect, kind: type[Exception], name: str | None, retryable: bool | None
) -> None:
    problem = problem_of(code, "why", "tickets", effect)
    assert type(problem) is kind
    assert (getattr(problem, "code", None), getattr(problem, "retryable", None)) == (name, retryable)


@pytest.mark.parametrize(
    ("hints", "effect"),
    [
        (None, ONCE),
        ({}, ONCE),
        ("text", ONCE),
        ({"readOnlyHint": True}, PURE),
        ({"idempotentHint": True}, IDEMPOTENT),
        ({"readOnlyHint": "true"}, ONCE),
        ({"readOnlyHint": False, "destructiveHint": False}, ONCE),
    ],
)
def test_a_tool_that_does_not_say_that_it_may_be_repeated_is_not(hints: Any, effect: Effect) -> None:
    tool = parse_tool({"name": "a", "inputSchema": {"type": "object"}, "annotations": hints})
    assert tool is not None
    assert effect_of(tool) is effect


@pytest.mark.parametrize(
    ("told", "note"), [((1, 4, "asked"), "asked"), ((1, 4, None), "1 of 4"), ((0.5, None, ""), "0.5")]
)
def test_progress_is_a_note(told: tuple[float, float | None, str | None], note: str) -> None:
    assert progress_of(*told) == note
