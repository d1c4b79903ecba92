"""Outcome or next attempt after an attempt that went wrong."""

from __future__ import annotations

import asyncio

import pytest

from ringback import ToolError
from ringback.jobs.states import Effect
from ringback.tools.gate import Ended
from workers.execution.retry_policy import (
    CallCancelled,
    DeadlineExceeded,
    Retry,
    backoff,
    busy,
    end_of,
    not_served,
    on_problem,
    unavailable,
)

NO = ToolError("No.", code="no")
LATER = ToolError("Not now.", code="later", retryable=True)
FAULT = KeyError("the secret is 1234")
LATE = DeadlineExceeded()
PURE, IDEMPOTENT, ONCE = Effect.PURE, Effect.IDEMPOTENT, Effect.AT_MOST_ONCE


@pytest.mark.parametrize(
    ("problem", "attempt", "of", "effect", "state", "code"),
    [
        (NO, 1, 3, PURE, "failed", "no"),
        (NO, 1, 1, ONCE, "failed", "no"),
        (LATER, 1, 3, PURE, "again", "later"),
        (LATER, 2, 3, IDEMPOTENT, "again", "later"),
        (LATER, 3, 3, PURE, "failed", "later"),
        (LATER, 1, 3, ONCE, "failed", "later"),
        (FAULT, 1, 3, PURE, "again", "tool_failed"),
        (FAULT, 2, 3, IDEMPOTENT, "again", "tool_failed"),
        (FAULT, 3, 3, PURE, "failed", "tool_failed"),
        (FAULT, 1, 1, IDEMPOTENT, "failed", "tool_failed"),
        (FAULT, 1, 3, ONCE, "unknown", "outcome_unknown"),
        (TimeoutError(), 1, 2, PURE, "again", "tool_failed"),
        (asyncio.CancelledError(), 1, 1, PURE, "failed", "tool_failed"),
        (LATE, 1, 3, PURE, "timed_out", "timed_out"),
        (LATE, 1, 1, IDEMPOTENT, "timed_out", "timed_out"),
        (LATE, 1, 1, ONCE, "unknown", "outcome_unknown"),
        (CallCancelled(), 1, 3, PURE, "cancelled", "cancelled"),
    ],
)
def test_the_verdict(problem: BaseException, attempt: int, of: int, effect: Effect, state: str, code: str) -> None:
    verdict = on_problem(problem, attempt=attempt, max_attempts=of, effect=effect, first_pause=0.5)
    if isinstance(verdict, Retry):
        assert (state, code) == ("again", verdict.error["code"])
        assert verdict.reason.state == "failed", "the end, should there be no other attempt after all"
    else:
        assert (state, code) == (verdict.state, verdict.code)


def test_the_model_hears_the_kind_of_a_fault_and_never_its_text() -> None:
    verdict = on_problem(FAULT, attempt=1, max_attempts=1, effect=PURE, first_pause=0.5)
    assert not isinstance(verdict, Retry)
    assert "KeyError" in verdict.message
    assert "1234" not in verdict.message


def test_what_postgres_would_refuse_is_taken_out_of_a_message() -> None:
    verdict = on_problem(ToolError("a\0b\ud800c"), attempt=1, max_attempts=1, effect=PURE, first_pause=0.5)
    assert not isinstance(verdict, Retry)
    assert verdict.message == "abc"


@pytest.mark.parametrize(
    ("first", "attempt", "longest"),
    [
        (0.5, 1, 0.5),
        (0.5, 2, 1.0),
        (0.5, 3, 2.0),
        (0.5, 5, 8.0),
        (0.5, 11, 8.0),
        (2.0, 1, 2.0),
        (2.0, 4, 8.0),
        (20.0, 1, 20.0),
        (20.0, 3, 20.0),
    ],
)
def test_pauses_begin_where_the_tool_says_grow_differ_and_stay_bounded(
    first: float, attempt: int, longest: float
) -> None:
    pauses = {backoff(attempt, first) for _ in range(50)}
    assert len(pauses) > 1
    assert all(longest / 2 <= pause <= longest for pause in pauses)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (NO, Ended.ANSWERED),
        (LATER, Ended.FAILED),
        (FAULT, Ended.FAILED),
        (TimeoutError(), Ended.FAILED),
        (LATE, Ended.FAILED),
        (CallCancelled(), Ended.LEFT),
    ],
)
def test_what_an_attempt_says_of_its_tool(problem: BaseException, says: Ended) -> None:
    assert end_of(problem) is says


def test_a_tool_that_is_left_alone_is_named_with_how_long_and_with_what_to_do() -> None:
    outcome = unavailable("weather", 19.6)
    assert (outcome.state, outcome.code) == ("failed", "unavailable")
    assert "weather is failing at the moment and is left alone for about 20 s" in outcome.message
    assert "do not call it before" in outcome.message


def test_a_turn_that_is_too_far_away_is_told_with_what_to_do() -> None:
    outcome = busy("weather", 61.4)
    assert (outcome.state, outcome.code) == ("failed", "busy")
    assert "it would be this one's turn in about 61 s" in outcome.message
    assert "do not call it again at once" in outcome.message


class OfItsOwn(ToolError):
    """Error of a tool author who did not call the `__init__` of ToolError."""

    def __init__(self, order: int) -> None:
        self.order = order


class Unreadable:
    """Row of an ORM, say, whose connection is closed."""

    def __str__(self) -> str:
        raise LookupError("detached")


SAYS_NOTHING = "The function could not do that, and does not say why. Say so."


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ToolError(""), "tool_error", SAYS_NOTHING),
        (OfItsOwn(7), "tool_error", SAYS_NOTHING),
        (ToolError(Unreadable()), "tool_error", SAYS_NOTHING),  # type: ignore[arg-type]
        (ToolError("No.", code=Unreadable()), "tool_error", "No."),  # type: ignore[arg-type]
        (ToolError("No.", code=""), "tool_error", "No."),
        (ToolError(KeyError("A-1042")), "tool_error", "'A-1042'"),  # type: ignore[arg-type]
        (ToolError("No.", code=404), "404", "No."),  # type: ignore[arg-type]
        (ToolError("No.", code="x" * 1_000), "x" * 64, "No."),
    ],
)
def test_whatever_a_tool_puts_into_its_error_there_is_a_verdict(error: ToolError, code: str, message: str) -> None:
    verdict = on_problem(error, attempt=1, max_attempts=1, effect=PURE, first_pause=0.5)
    assert not isinstance(verdict, Retry)
    assert (verdict.code, verdict.message) == (code, message)
    assert end_of(error) is Ended.ANSWERED


def test_a_tool_that_nobody_has_is_named() -> None:
    assert "weather" in not_served("weather").message
