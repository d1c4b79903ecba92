"""The row of a failed call says why the tool failed, for operators only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, text

from ringback.tables import items
from tests.integration.cli.test_history import run_on
from tests.integration.toolbox import errands
from tests.integration.toolbox.line import Line
from tests.integration.toolbox.runtimes import errands_runtime, run_job
from workers.execution.runtime import WorkerRuntime


@pytest.fixture
def runtime(line: Line) -> Iterator[WorkerRuntime]:
    with errands_runtime(line) as runtime:
        yield runtime


def _run(line: Line, runtime: WorkerRuntime, tool: str, **arguments: Any) -> Any:
    job_id = line.admit(tool, **arguments)
    run_job(runtime, job_id)
    return line.job(job_id)


def test_the_row_names_the_exception_and_the_authors_line_and_the_command_shows_both(
    line: Line, runtime: WorkerRuntime
) -> None:
    job = _run(line, runtime, "flaky", good_attempt=2)
    assert (job.failure["attempt"], job.failure["type"]) == (1, "OSError")
    assert job.failure["at"].startswith(f"{errands.__file__}:")
    assert job.failure["at"].endswith(" in flaky")
    shown = run_on(line.database, "jobs", "show", job.id).stdout
    assert "why attempt 1 failed" in shown
    assert "OSError: the secret is 1234" in shown
    assert "1234" not in str(job.error), "the model hears nothing of it"


def test_what_failed_first_and_was_done_in_the_end_tells_why_it_had_failed(line: Line, runtime: WorkerRuntime) -> None:
    job = _run(line, runtime, "flaky", good_attempt=2)
    line.run(text("UPDATE jobs SET not_before = NULL"))
    run_job(runtime, job.id)
    job = line.job(job.id)
    assert (job.state, job.attempt, job.failure["attempt"]) == ("succeeded", 2, 1)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("echo", {"text": "x"}), ("echo", {"words": "x"}), ("no_such_tool", {}), ("oversleep", {})],
)
def test_where_no_code_failed_there_is_nothing_to_tell(
    line: Line, runtime: WorkerRuntime, tool: str, arguments: dict[str, Any]
) -> None:
    job = _run(line, runtime, tool, **arguments)
    assert job.failure is None
    assert "why attempt" not in run_on(line.database, "jobs", "show", job.id).stdout


def test_what_was_said_is_shown_in_order_with_the_calls_and_results_between(line: Line, runtime: WorkerRuntime) -> None:
    job = _run(line, runtime, "echo", text="hello")
    line.run(text("UPDATE jobs SET position = 1, answer_position = 2"))
    for position, role, said in ((0, "user", "Say hello."), (2, "assistant", "One moment."), (3, "user", "Well?")):
        content = [{"type": "input_text", "text": said}]
        place = {"position": position, "item_id": f"i{position}", "role": role, "epoch": 1}
        line.run(insert(items).values(session_id=line.session, content=content, **place))
    line.run(insert(items).values(
        session_id=line.session, position=4, item_id="i4", role="user", epoch=1, content=[{"type": "input_audio"}]
    ))  # fmt: skip
    shown = run_on(line.database, "sessions", "show", line.session).stdout
    story = ["Say hello.", 'echo {"text": "hello"}', "One moment.", "result", "Well?", "without a transcript"]
    places = [shown.index(words) for words in story]
    assert places == sorted(places), shown
    assert str(job.id)[:8] in shown
