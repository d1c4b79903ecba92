"""What the model is told of each outcome of a job."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ringback.jobs.outcomes import (
    CANCELLED_BY,
    MAX_MESSAGE_CHARS,
    MAX_OUTPUT_CHARS,
    MESSAGES,
    Outcome,
    cancelled,
    failed,
    from_row,
    succeeded,
    timed_out,
)
from ringback.jobs.states import LIVE, TERMINAL, CancelReason, JobState


@pytest.mark.parametrize(
    ("result", "heard"),
    [
        ("It is sunny.", "It is sunny."),
        ("", ""),
        ({"sky": "clear", "°C": 21}, '{"sky": "clear", "°C": 21}'),
        ([1, 2.5, None, True], "[1, 2.5, null, true]"),
        (None, "null"),
        (7, "7"),
    ],
)
def test_a_result_is_heard_as_text_or_as_json(result: Any, heard: str) -> None:
    assert succeeded(result).output() == heard
    assert succeeded(result).error is None


@pytest.mark.parametrize(
    "outcome",
    [
        failed("no_such_order", "There is no such order; ask again."),
        timed_out(),
        Outcome(JobState.UNKNOWN, code="outcome_unknown", message="It must be checked."),
    ],
    ids=lambda outcome: str(outcome.state),
)
def test_an_error_is_heard_as_an_error_with_its_code_and_sentence(outcome: Outcome) -> None:
    heard = json.loads(outcome.output())
    assert heard == {"error": {"code": outcome.code, "message": outcome.message}}
    assert outcome.message.endswith(".")


@pytest.mark.parametrize("state", sorted(LIVE))
def test_work_that_is_not_over_has_no_outcome(state: JobState) -> None:
    with pytest.raises(ValueError, match=f"a job in state {state} has no outcome yet"):
        Outcome(state)


NOTE = re.compile(r" … \[cut: (\d+) more characters\]$")


def honest_about(text: str, whole: str) -> bool:
    """Return whether a cut text keeps the beginning, and tells the number of characters that are missing."""
    found = NOTE.search(text)
    assert found is not None
    kept = text[: found.start()]
    return whole.startswith(kept) and len(kept) + int(found[1]) == len(whole)


@pytest.mark.parametrize("length", [MAX_OUTPUT_CHARS + 1, MAX_OUTPUT_CHARS * 2, 3_000_000])
def test_a_long_result_is_cut_and_says_by_how_much(length: int) -> None:
    whole = "ab" * (length // 2) + "c" * (length % 2)
    heard = succeeded(whole).output()
    assert len(heard) <= MAX_OUTPUT_CHARS
    assert honest_about(heard, whole)


def test_a_result_of_just_the_length_is_not_cut() -> None:
    assert succeeded("x" * MAX_OUTPUT_CHARS).output() == "x" * MAX_OUTPUT_CHARS


def test_a_long_message_is_cut_and_says_by_how_much() -> None:
    whole = "word " * 1_000
    assert len(failed("x", whole).message) <= MAX_MESSAGE_CHARS
    assert honest_about(failed("x", whole).message, whole)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_row_is_read_as_the_outcome_that_was_written(state: JobState) -> None:
    written = succeeded({"a": 1}) if state is JobState.SUCCEEDED else Outcome(state, code="c", message="m")
    assert from_row(str(written.state), written.result, written.error) == written


@pytest.mark.parametrize("code", MESSAGES)
def test_a_row_that_a_sweeper_ended_speaks_in_our_words(code: str) -> None:
    assert from_row("timed_out", None, {"code": code}).message == MESSAGES[code]


@pytest.mark.parametrize("error", [{"code": "cancelled"}, cancelled().error], ids=["a sweeper's", "a worker's"])
@pytest.mark.parametrize("reason", [*CancelReason, None, "of_another_version"])
def test_a_call_that_was_cancelled_says_for_whom_where_that_is_known(error: dict[str, str], reason: str | None) -> None:
    outcome = from_row("cancelled", None, error, reason)
    assert (outcome.state, outcome.code) == ("cancelled", "cancelled")
    assert outcome.message == CANCELLED_BY.get(reason or "", MESSAGES["cancelled"])


def test_what_ended_otherwise_is_told_as_it_ended_whoever_wanted_it_cancelled() -> None:
    assert from_row("succeeded", 1, None, CancelReason.CALLER) == succeeded(1)
    denied = from_row("cancelled", None, {"code": "approval_denied"}, CancelReason.DENIED)
    assert denied.message == MESSAGES["approval_denied"]
    assert from_row("failed", None, {"code": "x", "message": "No."}, CancelReason.OPERATOR).message == "No."


@pytest.mark.parametrize("error", [None, {}, {"code": "of_another_version"}, {"code": "x", "message": ""}])
def test_a_row_with_an_error_of_its_own_kind_is_still_heard(error: dict[str, str] | None) -> None:
    outcome = from_row("failed", None, error)
    assert outcome.message == "The function could not be completed."
    assert "error" in json.loads(outcome.output())


def test_an_outcome_that_is_unknown_must_not_be_repeated() -> None:
    assert "Do not repeat it" in MESSAGES["outcome_unknown"]
