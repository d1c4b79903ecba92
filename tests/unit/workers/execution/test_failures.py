"""What operators read of a failed attempt: the exception, the author's own line, and a bounded traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import currentframe
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

from ringback import ToolError
from workers.execution import failures
from workers.execution.failures import MAX_CHAINED, MAX_TRACE_CHARS, failure_of

HERE = Path(__file__)


def _as_it_is(text: str) -> str:
    return text


def _failure(
    function: Callable[..., Any], redact: Callable[[str], str] = _as_it_is, *, quotes: bool = True, **arguments: Any
) -> dict[str, Any]:
    try:
        function(**arguments)
    except Exception as problem:
        return failure_of(problem, 2, function, redact, quotes=quotes)
    raise AssertionError("it did not fail")


def _line() -> int:
    """Return the line after the caller's."""
    return cast(FrameType, cast(FrameType, currentframe()).f_back).f_lineno + 1


def charges(secret: str) -> None:
    local = f"local {secret}"
    raise ValueError(f"no such card: {len(local)} {secret}")


def asks_a_library() -> None:
    json.loads("{")


class Unspeakable(Exception):
    """Exception whose message fails."""

    def __str__(self) -> str:
        raise RuntimeError("never")


def test_it_names_the_exception_the_attempt_and_the_line_of_the_authors_code() -> None:
    failure = _failure(charges, secret="4711")
    line = charges.__code__.co_firstlineno + 2
    assert (failure["attempt"], failure["type"], failure["at"]) == (2, "ValueError", f"{HERE}:{line} in charges")
    assert "raise ValueError(" in failure["trace"]
    assert failure["trace"].endswith("ValueError: no such card: 10 4711")


def test_where_a_library_raised_the_line_is_that_of_the_author_who_called_it() -> None:
    failure = _failure(asks_a_library)
    assert failure["type"] == "json.decoder.JSONDecodeError"
    assert failure["at"] == f"{HERE}:{asks_a_library.__code__.co_firstlineno + 1} in asks_a_library"
    assert "decoder.py" in failure["trace"], "the library's frames are in the traceback all the same"


def test_what_led_to_it_is_told_first() -> None:
    def pays() -> None:
        try:
            charges("4711")
        except ValueError as problem:
            line.append(_line())
            raise ToolError("The card was refused.", code="refused") from problem

    line: list[int] = []
    failure = _failure(pays)
    first, then = failure["trace"].split("\n\nwhich led to\n\n")
    assert "ValueError: no such card" in first
    assert then.endswith("ringback.errors.ToolError: The card was refused.")
    assert failure["at"] == f"{HERE}:{line[0]} in pays"


def test_a_frame_of_ours_is_not_taken_for_the_authors() -> None:
    def reports() -> None:
        from workers.execution.results import as_data

        as_data(object())

    failure = _failure(reports)
    assert failure["at"].startswith(f"{HERE}:")
    assert failure["at"].endswith(" in reports")


def test_values_are_taken_out_and_locals_never_in() -> None:
    failure = _failure(charges, lambda text: text.replace("4711", "[a field removed]"), secret="4711")
    assert "4711" not in str(failure)
    assert "[a field removed]" in failure["trace"]
    assert "local 4711" not in _failure(charges, secret="4711")["trace"]


def test_where_a_tool_asks_for_redaction_no_exception_is_quoted() -> None:
    failure = _failure(charges, quotes=False, secret="4711")
    assert "4711" not in str(failure)
    assert failure["at"].endswith(" in charges")


def test_what_looks_like_a_credential_is_masked() -> None:
    def connects() -> None:
        raise OSError("postgresql://ann:hunter22@db/shop refuses")

    assert "hunter22" not in _failure(connects)["trace"]


def test_a_traceback_has_an_end_and_keeps_what_went_wrong() -> None:
    def shouts() -> None:
        raise ValueError("é" * 500 + "the end of it\0\ud800") from KeyError("k" * 900_000)

    def recurses() -> None:
        recurses()

    told = _failure(shouts)["trace"]
    assert told.endswith("the end of it")
    for trace in (told, _failure(recurses)["trace"]):
        assert len(trace) < MAX_TRACE_CHARS + 100


def test_a_circle_of_causes_and_a_long_chain_have_an_end() -> None:
    def circles() -> None:
        one, other = ValueError("one"), ValueError("other")
        one.__cause__, other.__cause__ = other, one
        raise one

    def chains() -> None:
        problem: Exception = ValueError("0")
        for number in range(1, 20):
            following = ValueError(str(number))
            following.__cause__ = problem
            problem = following
        raise problem

    assert _failure(circles)["trace"].count("which led to") == 1
    assert _failure(chains)["trace"].count("which led to") == MAX_CHAINED - 1


def test_the_members_of_a_group_are_named() -> None:
    def gathers() -> None:
        raise ExceptionGroup("two at once", [ValueError("a"), KeyError("b")])

    trace = _failure(gathers)["trace"]
    assert "one of them: ValueError: a" in trace
    assert "one of them: KeyError: 'b'" in trace


def test_an_exception_that_cannot_say_itself_is_named() -> None:
    def fails() -> None:
        raise Unspeakable

    assert "its message cannot be had: RuntimeError" in _failure(fails)["trace"]


@pytest.mark.parametrize("function", [len, json.loads])
def test_a_tool_without_code_of_its_own_is_no_reason_to_fail(function: Callable[..., Any]) -> None:
    assert failure_of(ValueError("x"), 1, function, _as_it_is, quotes=True)["at"] == ""


def test_a_library_in_a_folder_below_the_tools_is_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual environment may lie within the project."""
    monkeypatch.setattr(failures, "_OTHERS", (f"{tmp_path}/.venv/",))
    names: dict[str, Any] = {}
    (library, tools) = tmp_path / ".venv" / "library.py", tmp_path / "my_tools.py"
    exec(compile("def sends():\n    raise OSError('away')", library, "exec"), names)  # noqa: S102
    exec(compile("def pays():\n    sends()", tools, "exec"), names)  # noqa: S102
    assert _failure(names["pays"])["at"] == f"{tools}:2 in pays"
    assert _failure(names["sends"])["at"] == f"{library}:2 in sends", "a tool that is installed has its own folder"
