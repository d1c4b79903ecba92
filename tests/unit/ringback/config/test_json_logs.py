"""A line as JSON: the same words, masked in the same way, with the session and the job that they are about."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from ringback.config import logs
from ringback.config.logs import FORMAT, JsonFormatter, SafeFormatter, bind, configure, name_traces
from tests.unit.ringback.config.test_logs import new_process


def fields(message: str = "said", *values: object, problem: BaseException | None = None) -> dict[str, Any]:
    exc_info = (type(problem), problem, problem.__traceback__) if problem else None
    record = logging.LogRecord("a.name", logging.WARNING, __file__, 1, message, values, exc_info)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_the_fields_that_there_are_and_no_other() -> None:
    found = Context().run(fields, "lease renewal failed (%s)", "no answer")
    assert set(found) == {"time", "level", "logger", "message", "process"}
    assert (found["level"], found["logger"]) == ("WARNING", "a.name")
    assert found["message"] == "lease renewal failed (no answer)"
    assert found["time"].endswith("+00:00")


def test_what_is_masked_in_text_is_masked_in_json() -> None:
    try:
        raise ValueError("Bearer abcdef\nforged")
    except ValueError as caught:
        found = fields("sent %s", "4111 1111 1111 1111 with sk-abcdefghijkl\x1b[2J", problem=caught)
    assert found["message"] == r"sent [card removed] with sk-…\x1b[2J"
    assert "abcdef" not in str(found)
    assert "ValueError: Bearer …" in found["traceback"]


def test_session_and_job_are_named_within_their_context_and_not_outside() -> None:
    def work() -> dict[str, Any]:
        bind(session="s-1")
        bind(job="j-1")
        return fields()

    inside = Context().run(work)
    assert (inside["session"], inside["job"]) == ("s-1", "j-1")
    assert "session" not in Context().run(fields)


def test_a_trace_is_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_trace_ids", [])
    name_traces(lambda: ("0af7", "b7ad"))
    assert (fields()["trace_id"], fields()["span_id"]) == ("0af7", "b7ad")
    name_traces(lambda: None)
    assert "trace_id" not in fields()


@pytest.mark.parametrize(
    ("variable", "file", "formatter"),
    [
        (None, None, SafeFormatter),
        ("json", None, JsonFormatter),
        ("text", f"{FORMAT}=json", SafeFormatter),
        (None, f"{FORMAT}=json", JsonFormatter),
        ("yaml", None, SafeFormatter),
    ],
)
def test_the_format_is_that_of_the_environment_or_else_of_the_file(
    variable: str | None,
    file: str | None,
    formatter: type[logging.Formatter],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FORMAT, raising=False)
    if variable is not None:
        monkeypatch.setenv(FORMAT, variable)
    if file is not None:
        (tmp_path / ".env").write_text(file)
    with new_process() as (root, _):
        configure()
        assert type(root.handlers[0].formatter) is formatter


def test_an_exception_that_ends_the_process_is_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT, "json")
    with new_process() as (_, errors):
        configure()
        sys.excepthook(ValueError, ValueError("redis://:p4ss@cache"), None)
    found = json.loads(errors.getvalue())
    assert found["message"] == "the process ends"
    assert "p4ss" not in found["traceback"]
