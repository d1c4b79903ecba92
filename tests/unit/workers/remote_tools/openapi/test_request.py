"""The arguments of a call go to their places in the request, and to no other."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.errors import ToolError
from workers.remote_tools.openapi.operations import Body, Operation, Part
from workers.remote_tools.openapi.request import request_for


def part(name: str, place: str = "query", style: str = "form", explode: bool = True, **more: Any) -> Part:
    return Part(more.pop("argument", name), name, place, style, explode, **more)


def operation(*parts: Part, path: str = "/a", body: Body = Body.NONE, body_required: bool = False) -> Operation:
    return Operation("do", "post", path, "", {}, parts, body, body_required)


@pytest.mark.parametrize(
    ("parts", "arguments", "target"),
    [
        ([], {}, "/a"),
        ([part("q")], {}, "/a"),
        ([part("q")], {"q": None}, "/a"),
        ([part("q")], {"q": "a b&c=d#e"}, "/a?q=a%20b%26c%3Dd%23e"),
        ([part("q")], {"q": True}, "/a?q=true"),
        ([part("q")], {"q": 1.5}, "/a?q=1.5"),
        ([part("q", argument="query_q")], {"query_q": "x"}, "/a?q=x"),
        ([part("q")], {"q": ["a", "b"]}, "/a?q=a&q=b"),
        ([part("q", explode=False)], {"q": ["a", 2]}, "/a?q=a%2C2"),
        ([part("q", style="pipeDelimited", explode=False)], {"q": ["a", "b"]}, "/a?q=a%7Cb"),
        ([part("q", style="deepObject")], {"q": {"a": 1, "b": "x"}}, "/a?q%5Ba%5D=1&q%5Bb%5D=x"),
        ([part("q", as_json=True)], {"q": {"a": [1]}}, "/a?q=%7B%22a%22%3A%20%5B1%5D%7D"),
        ([part("q", explode=False)], {"q": []}, "/a?q="),
    ],
)
def test_a_query_is_written_as_its_style_says(parts: list[Part], arguments: dict[str, Any], target: str) -> None:
    assert request_for(operation(*parts), arguments).target == target


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("A-1042", "/o/A-1042/x"),
        (7, "/o/7/x"),
        ("a/b?c#d%", "/o/a%2Fb%3Fc%23d%25/x"),
        ("ä", "/o/%C3%A4/x"),
        ("...", "/o/.../x"),
        (["a", "b"], "/o/a%2Cb/x"),
        ("{id}", "/o/%7Bid%7D/x"),
        ("\ud800", "/o/%3F/x"),
    ],
)
def test_a_value_of_the_path_is_one_segment(value: Any, target: str) -> None:
    do = operation(part("id", "path", "simple", explode=False), path="/o/{id}/x")
    assert request_for(do, {"id": value}).target == target


@pytest.mark.parametrize("value", ["", ".", "..", "../x", "x/..", "a/./b", "a\\..\\b"])
def test_a_value_that_leads_out_of_its_place_is_refused(value: str) -> None:
    do = operation(part("id", "path", "simple", explode=False), path="/o/{id}/x")
    with pytest.raises(ToolError, match="The argument id cannot be sent") as refused:
        request_for(do, {"id": value})
    assert not refused.value.retryable


@pytest.mark.parametrize(
    ("value", "sent"), [("north", "north"), (3, "3"), (["a", "b"], "a,b"), ("a\r\nb", None), ("ä", None), ("\0", None)]
)
def test_a_header_is_one_line_of_plain_characters(value: Any, sent: str | None) -> None:
    do = operation(part("X-Region", "header", "simple", explode=False))
    if sent is None:
        with pytest.raises(ToolError, match="X-Region cannot be sent"):
            request_for(do, {"X-Region": value})
    else:
        assert request_for(do, {"X-Region": value}).headers == {"X-Region": sent}


@pytest.mark.parametrize(
    ("body", "required", "arguments", "content"),
    [
        (Body.NONE, False, {}, None),
        (Body.FLAT, True, {"q": "x", "a": 1, "b": None}, b'{"a": 1, "b": null}'),
        (Body.FLAT, True, {"q": "x"}, b"{}"),
        (Body.FLAT, False, {"q": "x"}, None),
        (Body.WHOLE, True, {"body": [1, "\u00e4"]}, b'[1, "\xc3\xa4"]'),
        (Body.WHOLE, False, {"body": None}, b"null"),
        (Body.WHOLE, False, {}, None),
    ],
)
def test_what_is_no_parameter_is_the_body(
    body: Body, required: bool, arguments: dict[str, Any], content: bytes | None
) -> None:
    sent = request_for(operation(part("q"), body=body, body_required=required), arguments)
    assert (sent.method, sent.content) == ("POST", content)
    assert sent.headers == ({} if content is None else {"Content-Type": "application/json"})
