"""The history as users read it: no value breaks a line, steers a terminal, or passes for markup."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from rich.console import Console

from cli.output import tables
from ringback.history.documents import (
    Job,
    ListedJob,
    ListedSession,
    Problem,
    SessionTimeline,
    ShownMoment,
    Timeline,
    Transition,
)
from ringback.history.pagination import Page
from ringback.operator_view import Failure, Line, SessionForOperators

CREATED = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
IDS = [UUID(f"3f2a9c1b-0000-4000-8000-{number:012x}") for number in range(3)]
SESSION = UUID("9b1c0000-0000-4000-8000-000000000000")
UNHEARD = dict.fromkeys(("rang_ms", "floor_ms", "voice_ms", "heard_ms"))
TIMELINE = Timeline(waited_ms=3.0, ran_ms=20.0, delivered_ms=None, acked_ms=None, **UNHEARD)


def nulls(document: type[BaseModel]) -> dict[str, Any]:
    """Null for each field, so that a test names those alone that it looks at."""
    return dict.fromkeys(name for name, field in document.model_fields.items() if field.is_required())


def listed(number: int = 0, **given: Any) -> ListedJob:
    known: dict[str, Any] = {"id": IDS[number], "session_id": SESSION, "call_id": "call_1", "tool": "weather"}
    known |= {"queue": "default", "state": "succeeded", "delivery": "acked", "attempt": 1, "max_attempts": 3}
    known |= {"worker_id": "w1", "created_at": CREATED, "started_at": CREATED}
    return ListedJob(**{**nulls(ListedJob), **known, "finished_at": CREATED + timedelta(seconds=8.04), **given})


def whole(**given: Any) -> Job:
    """A failed call that was retried once, told in five steps."""
    story: list[tuple[float, str, str, str | None, Problem | None]] = [
        (0.1, "pending", "none", None, None),
        (3.0, "running", "none", "w1", None),
        (13.0, "pending", "none", "w1", Problem(code="busy", message="Try later.")),
        (513.0, "running", "none", "w2", None),
        (523.0, "failed", "ready", "w2", Problem(code="closed", message="The shop is closed.")),
    ]
    names = ("ms", "state", "delivery", "worker_id", "error")
    shared: dict[str, Any] = {"at": CREATED, "attempt": 1, "epoch": None}
    steps = [Transition(**shared, **dict(zip(names, step, strict=True))) for step in story]
    rest: dict[str, Any] = {"epoch": 1, "effect": "pure", "timeout": 15.0, "deadline_at": CREATED}
    rest |= {"arguments": {"city": "London"}, "cancel_requested": False, "publish_count": 0, "notify_count": 0}
    rest |= {"attempts": [], "timeline": TIMELINE}
    ended = {"state": "failed", "delivery": "ready", "error": story[-1][-1]}
    return Job(**{**nulls(Job), **dict(listed()), **rest, **ended, "transitions": steps, **given})


def talk(**given: Any) -> ListedSession:
    known: dict[str, Any] = {"id": SESSION, "user_id": "ada", "agent": "demo", "model": None, "state": "open"}
    known |= {"epoch": 1, "gateway_id": "gw", "upstream_id": None, "created_at": CREATED, "ended_at": None}
    known |= {"transport": "websocket", "call_id": None}
    return ListedSession(**{**known, "end_reason": None, "counts": {"pending": 2, "failed": 1}, **given})


def printed(width: int, print_it: Any, *shown: Any) -> list[str]:
    out = io.StringIO()
    print_it(Console(file=out, width=width, highlight=False), *shown)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "columns"), [(80, 7), (99, 7), (100, 9), (120, 9)])
def test_a_job_is_one_line_however_wide_the_terminal(width: int, columns: int) -> None:
    jobs = [listed(tool="t" * 64, state="timed_out", delivery="history_only"), listed(1, tool="weather")]
    lines = printed(width, tables.print_jobs, jobs)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    assert len(lines[2].replace("CREATED (UTC)", "CREATED").split()) == columns + 2, "a date and '8.0 s' are two words"
    assert "timed_out" in lines[1]
    assert "history_only" in lines[1]


def test_a_session_is_one_line_at_80_columns() -> None:
    ended = talk(state="ended", ended_at=CREATED + timedelta(minutes=61), end_reason="gateway_lost", user_id="u" * 90)
    lines = printed(80, tables.print_sessions, [ended])
    assert len(lines) == 2
    assert len(lines[1]) <= 80
    assert {"ended", "3", "61", "min", "gateway_lost"} <= set(lines[1].split())


def test_ids_are_shown_just_long_enough_to_tell_the_rows_apart() -> None:
    assert printed(120, tables.print_jobs, [listed(0)])[1].split()[0] == "3f2a9c1b"
    alike = printed(120, tables.print_jobs, [listed(0), listed(1)])
    assert [line.split()[0] for line in alike[1:]] == [str(IDS[0]), str(IDS[1])]


def test_a_story_has_a_line_for_each_step() -> None:
    lines = printed(80, tables.print_job, whole())
    story = lines[lines.index("") + 1 :]
    assert [line.split() for line in story[:6]] == [
        ["+MS", "STATE", "DELIVERY", "WORKER"],
        ["+0.1", "pending"],
        ["+3.0", "running", "w1", "attempt", "1"],
        ["+13.0", "pending", "w1", "busy:", "Try", "later."],
        ["+513.0", "running", "w2", "attempt", "1"],
        ["+523.0", "failed", "ready", "w2", "closed"],
    ]
    unheard = "rang – · floor – · voice – · heard – · delivered – · acked –"
    assert story[7] == f"waited 3.0 ms · ran 20.0 ms · {unheard}"
    assert story[-5:] == ['    "city": "London"', "  }", "", "error", "  closed: The shop is closed."]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({}, "resp_1, still being said, or cut off from here"),
        (
            {"heard_by": "report", "audio_ms": 2_400.0, "played_ms": 1_500.0},
            "resp_1, 1.5 s of 2.4 s heard, known by report",
        ),
        ({"heard_by": "unknown", "audio_ms": 2_400.0}, "resp_1, unknown what was heard of 2.4 s"),
        ({"heard_by": "clock"}, "resp_1, text, known by clock"),
    ],
)
def test_a_call_says_what_was_heard_of_its_answer(columns: dict[str, Any], shown: str) -> None:
    lines = printed(80, tables.print_job, whole(answer_id="resp_1", **columns))
    assert f"answer    {shown}" in lines


def test_a_timeline_has_a_line_for_each_moment_and_names_the_tool_that_a_response_tells() -> None:
    told = {"epoch": 1, "response_id": "resp_1", "ms": None, "detail": None}
    moments = [
        ShownMoment(**{**told, "at": CREATED, "kind": "user_began", "response_id": None}),
        ShownMoment(**{**told, "at": CREATED + timedelta(seconds=1), "kind": "response_played", "ms": 1_500.0}),
    ]
    jobs = Page[ListedJob](data=[listed(answer_id="resp_1")], has_more=False, next=None)
    shown = SessionTimeline(
        session_id=SESSION, created_at=CREATED, ended_at=None, moments=moments, is_cut=True, jobs=jobs
    )
    lines = [line.split() for line in printed(100, tables.print_timeline, shown)]
    assert lines[0] == ["+MS", "MOMENT", "LENGTH", "DETAIL", "TELLS", "RESPONSE"]
    assert lines[1:3] == [["+0.0", "user_began"], ["+1000.0", "response_played", "1.5", "s", "weather", "resp_1"]]
    assert lines[3] == ["…", "later", "moments", "are", "not", "kept"]
    assert lines[-1][3:6] == ["weather", "default", "succeeded"]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"sky": "grau", "straße": "ß"}, ["  {", '    "sky": "grau",', '    "straße": "ß"', "  }"]),
        ("plain words\nin two lines", ["  plain words", "  in two lines"]),
        (None, ["  null"]),
        (7, ["  7"]),
        ("x" * 300, ["  " + "x" * 300]),
    ],
)
def test_a_result_is_shown_whole(result: Any, shown: list[str]) -> None:
    lines = printed(80, tables.print_job, whole(state="succeeded", error=None, result=result))
    assert lines[lines.index("result") + 1 :] == shown


@pytest.mark.parametrize("evil", ["\x1b[2Jgone", "a\rb", "\x9b31m", "\u202egnp.exe", "\x00"])
def test_what_a_model_says_does_not_steer_the_terminal(evil: str) -> None:
    call = whole(tool=evil, arguments={"said": evil}, call_id=evil, error=Problem(code=evil, message=evil))
    said = printed(80, tables.print_job, call)
    said += printed(80, tables.print_jobs, [listed(tool=evil, queue=evil)])
    said += printed(80, tables.print_sessions, [talk(user_id=evil, agent=evil)])
    assert all(line.isprintable() for line in said)


def test_what_looks_like_markup_is_text() -> None:
    assert "[red]weather[/red]" in printed(120, tables.print_jobs, [listed(tool="[red]weather[/red]")])[1]
    assert "  [/nothing]" in printed(80, tables.print_job, whole(arguments="[/nothing]"))


def test_a_session_tells_its_counts_and_its_jobs_without_repeating_itself() -> None:
    page = Page[ListedJob](data=[listed()], has_more=False, next=None)
    lines = printed(
        120, tables.print_session, SessionForOperators(**dict(talk()), jobs=page, transcript=[], is_cut=False)
    )
    assert "jobs      1 failed, 2 pending" in lines
    assert "SESSION" not in lines[-2]
    assert lines[-1].startswith("3f2a9c1b")


@pytest.mark.parametrize(("columns", "width"), [(None, tables.PIPE_WIDTH), ("90", 90)])
def test_a_pipe_is_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch, columns: str | None, width: int) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert tables.console().width == width


def test_help_waits_for_no_driver() -> None:
    asked = "import sys, json, cli.jobs, cli.sessions; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True).stdout)
    assert "typer" in loaded
    assert not {"sqlalchemy", "psycopg", "pydantic", "fastapi", "ringback"} & set(loaded)


def test_a_transcript_tells_who_said_what_and_when_and_steers_no_terminal() -> None:
    page = Page[ListedJob](data=[], has_more=False, next=None)
    spoken = [
        Line(at=CREATED, who="user", text="Where is [my] order?\x1b[2J"),
        Line(at=CREATED, who="call", text='order_status {"order_id": "A-1"}', job_id=IDS[0]),
        Line(at=CREATED, who="assistant", text="It is " + "on its way " * 20),
    ]
    lines = printed(
        60, tables.print_session, SessionForOperators(**dict(talk()), jobs=page, transcript=spoken, is_cut=True)
    )
    told = "\n".join(lines)
    assert "12:00:00  user       Where is [my] order?\\x1b[2J" in told
    assert '12:00:00  call       order_status {"order_id": "A-1"}' in told
    first = next(line for line in lines if line.startswith("12:00:00"))
    assert lines.index("… older lines are left out") + 1 == lines.index(first)
    assert "".join(told.split()).count("onitsway") == 20, "a long line goes on below itself"


def test_a_call_that_failed_tells_where_and_why() -> None:
    failure = Failure(attempt=2, type="KeyError", at="shop.py:7 in pay", trace="  File [red]x\nKeyError: 'card'\x07")
    lines = printed(80, tables.print_job, whole(), failure)
    assert lines[lines.index("why attempt 2 failed") + 1].strip() == "KeyError at shop.py:7 in pay"
    assert "KeyError: 'card'\\x07" in lines[-1]
