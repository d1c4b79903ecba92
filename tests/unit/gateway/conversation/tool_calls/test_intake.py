"""A finished function_call item: a job, an answer at once, or nothing at all."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.tool_calls.arguments import MAX_ARGUMENTS_CHARS, MAX_ARGUMENTS_DEPTH
from gateway.upstream.events import Item, OutputItemFinished
from ringback.jobs.states import JobState
from ringback.tools.spec import ToolSpec
from tests.unit.gateway.conversation.script import (
    Script,
    call,
    created,
    done,
    finished,
    function_call,
    job_of,
)


def only_message(script: Script) -> str:
    """What the model is told about the one call that was just refused."""
    (record,) = script.records
    assert record.outcome is not None
    assert record.outcome.state is JobState.FAILED
    return record.outcome.message


def test_a_completed_item_becomes_a_job() -> None:
    script = Script().opened()
    # Models write white space of their own into their arguments.
    assert script.model(call("call_1", arguments='{  \n  "city": "Rome" \n} \n'))[0] == "record call_1"
    (record,) = script.records
    assert record.outcome is None
    assert record.job.id == job_of("call_1")
    assert record.job.arguments == {"city": "Rome"}
    assert record.job.response_id == "R1"
    assert record.job.tool is script.conversation.tools["weather"]


@pytest.mark.parametrize("status", ["in_progress", "incomplete", "cancelled", "", None])
def test_an_item_that_is_not_completed_is_nothing(status: Any) -> None:
    script = Script().opened()
    assert script.model(finished(function_call("call_1") | {"status": status})) == []


@pytest.mark.parametrize("changed", [{"type": "message"}, {"type": "mcp_call"}, {"call_id": None}, {"call_id": ""}])
def test_an_item_that_is_no_call_of_ours_is_nothing(changed: dict[str, Any]) -> None:
    script = Script().opened()
    script.model(finished(function_call("call_1") | changed))
    assert script.records == []


def test_repeated_events_make_one_job() -> None:
    script = Script().opened()
    item = function_call("call_1")
    assert script.model(finished(item), finished(item), done("R1", "completed", item))[0] == "record call_1"
    assert len(script.records) == 1


def test_a_call_that_only_the_end_of_the_response_shows_is_recorded() -> None:
    script = Script().opened()
    script.model(created("R1"))
    assert script.model(done("R1", "completed", function_call("call_1"))) == ["record call_1", "client: response.done"]


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
def test_a_call_that_only_the_end_of_a_broken_response_shows_is_not(status: str) -> None:
    script = Script().opened()
    script.model(created("R1"))
    assert script.model(done("R1", status, function_call("call_1"))) == ["client: response.done"]


def test_parallel_calls_become_as_many_jobs() -> None:
    script = Script().opened()
    lines = script.model(*(call(f"call_{number}") for number in range(5)))
    assert lines == [f"record call_{number}" for number in range(5)]


# — arguments that cannot be —

REFUSED_ARGUMENTS = {
    "cut off in mid-word": ('{"city": "Ro', "not JSON"),
    "not a number": ('{"city": NaN}', "NaN is no number"),
    "infinite": ('{"city": "Rome", "days": -Infinity}', "no number"),
    "larger than any float": ('{"city": "Rome", "days": 1e999}', "1e999"),
    "larger than any integer": ('{"city": "Rome", "days": ' + "9" * 40 + "}", "too large"),
    "more digits than Python reads": ('{"city": "Rome", "days": ' + "9" * 5000 + "}", "too large"),
    "a string": ('"Rome"', "one JSON object"),
    "null": (" null ", "The arguments do not fit: city: Field required. Correct them"),
    "white space": (" \n", "city: Field required"),
    "a list": ("[]", "one JSON object"),
    "missing argument": ("{}", "city: Field required"),
    "no text at all": ("", "city: Field required"),
    "unknown argument": ('{"city": "Rome", "country": "IT"}', "country: Extra inputs are not permitted"),
    "wrong type": ('{"city": 7}', "city: Input should be a valid string"),
    "out of range": ('{"city": "Rome", "days": 0}', "days: Input should be greater than or equal to 1"),
    "several": ('{"city": 7, "days": 0}', "city: Input should be a valid string; days: Input should be greater than"),
    "too deep": ('{"city": ' + "[" * 100 + "]" * 100 + "}", f"deeper than {MAX_ARGUMENTS_DEPTH}"),
    "far too deep": ('{"city": ' + "[" * 30_000 + "]" * 30_000 + "}", "not JSON"),
    "too long": ('{"city": "' + "x" * MAX_ARGUMENTS_CHARS + '"}', str(MAX_ARGUMENTS_CHARS)),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED_ARGUMENTS.values(), ids=REFUSED_ARGUMENTS)
def test_arguments_that_cannot_be_are_answered_at_once(arguments: str, said: str) -> None:
    script = Script().opened()
    assert script.model(call("call_1", arguments=arguments)) == ["refuse call_1: invalid_arguments"]
    assert said in only_message(script)


@pytest.mark.parametrize("arguments", [None, 7, [], ["Rome"], False])
def test_a_call_whose_arguments_are_no_text_is_answered_at_once(arguments: Any) -> None:
    script = Script().opened()
    script.model(finished(function_call("call_1") | {"arguments": arguments}))
    said = "city: Field required" if arguments is None else "one JSON object"
    assert said in only_message(script)


def test_arguments_that_a_server_has_read_already_are_taken() -> None:
    script = Script().opened()
    assert script.model(finished(function_call("call_1") | {"arguments": {"city": "Rome"}})) == ["record call_1"]
    assert script.records[0].job.arguments == {"city": "Rome"}


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"city": "Ro\\u0000me"}', {"city": "Rome"}),
        ('{"city": "Ro\\ud800me"}', {"city": "Ro?me"}),
        ('{"city": "C:\\\\u0000"}', {"city": "C:\\u0000"}),
        ('{"city": "\\ud83d\\ude00"}', {"city": "😀"}),
    ],
    ids=["NUL", "half a surrogate pair", "a backslash and u0000", "a whole pair"],
)
def test_arguments_are_kept_without_what_postgres_refuses(arguments: str, kept: dict[str, str]) -> None:
    script = Script().opened()
    assert script.model(call("call_1", arguments=arguments)) == ["record call_1"]
    assert script.records[0].job.arguments == kept


@pytest.mark.parametrize("text", ['{"city": "Ro', "\x00\ud800 no", "7"])
def test_the_history_keeps_what_was_really_asked(text: str) -> None:
    script = Script().opened()
    item = Item(**function_call("call_1", text))
    script.model(OutputItemFinished(raw=call("call_1"), response_id="R1", item=item))
    kept = script.records[0].job.arguments
    assert str(kept) == text.replace("\x00", "").replace("\ud800", "?")


@pytest.mark.parametrize("arguments", ["", " \n", "null", None, "{}", {}])
def test_a_tool_that_takes_nothing_may_be_called_with_nothing_of_any_kind(arguments: Any) -> None:
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    script = Script(ToolSpec("quote", "A quote.", nothing)).opened()
    item = function_call("call_1", name="quote") | {"arguments": arguments}
    assert script.model(finished(item)) == ["record call_1"]
    assert script.records[0].job.arguments == {}


# — calls that may not be —


def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    script = Script().opened()
    assert script.model(call("call_1", name="wether")) == ["refuse call_1: unknown_tool"]
    assert "'wether'" in only_message(script)
    assert "order, weather" in only_message(script)
    assert script.records[0].job.tool is None


def test_one_call_too_many_is_refused_until_another_has_its_answer() -> None:
    script = Script(max_calls_at_once=2).opened()
    assert script.model(call("a"), call("b"), call("c")) == ["record a", "record b", "refuse c: too_many_calls"]
    script.deliver("a")
    assert script.model(call("d")) == ["record d"]


def test_refused_calls_do_not_count_as_running() -> None:
    script = Script(max_calls_at_once=1).opened()
    lines = script.model(call("a", arguments="no"), call("b", name="nothing"), call("c"))
    assert lines == ["refuse a: invalid_arguments", "refuse b: unknown_tool", "record c"]


# — at most once —


def test_an_at_most_once_tool_waits_for_its_response_to_complete() -> None:
    script = Script().opened()
    assert script.model(created("R1"), call("call_1", name="order")) == ["client: response.created"]
    assert script.model(done("R1")) == ["record call_1", "client: response.done"]


def test_an_at_most_once_tool_is_not_run_for_another_response() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1", name="order"))
    assert script.model(done("R0")) == ["client: response.done"]


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
def test_an_at_most_once_tool_of_a_broken_response_is_answered_and_not_run(status: str) -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1", name="order"))
    lines = script.model(done("R1", status))
    assert lines == ["refuse call_1: response_interrupted", "client: response.done"]
    assert "was not run" in only_message(script)


def test_a_repeated_at_most_once_call_is_one_job() -> None:
    script = Script().opened()
    item = function_call("call_1", name="order")
    script.model(created("R1"), finished(item), finished(item), done("R1", "completed", item))
    assert len(script.records) == 1


def test_a_sibling_of_an_at_most_once_call_does_not_wait_for_it() -> None:
    script = Script().opened()
    assert script.model(created("R1"), call("a", name="order"), call("b"))[1:] == ["record b"]


def test_the_message_of_a_refusal_is_bounded() -> None:
    script = Script().opened()
    script.model(call("call_1", arguments='{"city": {"a": "' + "x" * 60_000 + '"}}'))
    assert len(only_message(script)) <= 1_000
