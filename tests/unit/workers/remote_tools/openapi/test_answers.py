"""Result or error for each answer of an HTTP API."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.errors import ToolError
from ringback.jobs.states import Effect
from workers.remote_tools.failures import ConnectionLost
from workers.remote_tools.openapi.answers import Answer, result_of

ONCE, PURE = Effect.AT_MOST_ONCE, Effect.PURE


def answer(status: int = 200, body: bytes = b"", kind: str = "application/json", **more: Any) -> Answer:
    return Answer(status, kind, more.pop("charset", "utf-8"), body, **more)


@pytest.mark.parametrize(
    ("came", "result"),
    [
        (answer(body=b'{"a": [1]}'), {"a": [1]}),
        (answer(201, b"3", "application/vnd.x+json"), 3),
        (answer(204), {"status": 204}),
        (answer(body="grün".encode("latin-1"), kind="text/plain", charset="latin-1"), "grün"),
        (answer(body=b"x", kind="text/plain", charset="klingon"), "x"),
        (
            answer(body=b"1234", kind="image/png"),
            {"status": 200, "answer": "[image/png, 4 bytes: it cannot be told here]"},
        ),
        (
            answer(body=b"12", kind=""),
            {"status": 200, "answer": "[something without a type, 2 bytes: it cannot be told here]"},
        ),
    ],
)
def test_a_good_answer_is_told_as_what_it_is(came: Answer, result: Any) -> None:
    assert result_of(came, "shop", ONCE) == result


@pytest.mark.parametrize(
    ("came", "code", "retryable", "words"),
    [
        (answer(400, b'{"detail": "no  such\\n day"}'), "http_400", False, 'shop answered 400: {"detail": "no such'),
        (answer(404), "http_404", False, "it gave no reason"),
        (answer(403, b"\x89PNG", "image/png"), "http_403", False, "it gave no reason"),
        (answer(422, b"x" * 5_000, "text/html"), "http_422", False, "x …"),
        (answer(408), "http_408", True, "shop answered 408"),
        (answer(425), "http_425", True, "shop answered 425"),
        (answer(429, b"slow down", "text/plain"), "http_429", True, "slow down"),
        (answer(302), "http_302", False, "redirects to another address"),
        (answer(500, b"trace"), "http_500", True, "shop failed (500)"),
        (answer(200, b"{"), "bad_result", False, "what is no JSON. Do not repeat"),
        (answer(200, b"[" * 9, truncated=True), "result_too_large", False, "was carried out"),
    ],
)
def test_a_refusal_is_told_and_tried_again_only_where_that_can_help(
    came: Answer, code: str, retryable: bool, words: str
) -> None:
    with pytest.raises(ToolError) as refused:
        result_of(came, "shop", PURE)
    assert (refused.value.code, refused.value.retryable) == (code, retryable)
    assert words in refused.value.message
    assert len(refused.value.message) < 700
    assert "trace" not in refused.value.message


@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_what_must_not_run_twice_and_failed_may_have_been_done(status: int) -> None:
    with pytest.raises(ConnectionLost):
        result_of(answer(status), "shop", ONCE)


def test_what_must_not_run_twice_and_was_refused_was_not_done() -> None:
    with pytest.raises(ToolError):
        result_of(answer(429), "shop", ONCE)
