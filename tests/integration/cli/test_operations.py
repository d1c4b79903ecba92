"""What operators do on the command line, on a real Postgres: acts on calls, queues and tools, and what they see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from cli.main import program
from ringback.jobs import outcomes
from ringback.jobs.states import Effect
from ringback.recordings.audio import Codec, Piece, Voice
from ringback.statements import processes, recordings
from ringback.tables import jobs
from ringback.tools.spec import ToolSpec
from tests.integration.statements.test_history import Line, line_on

Run = Callable[..., Result]
WEATHER = ToolSpec("weather", "The weather.", {"type": "object"})


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def run(database: str) -> Run:
    def run(*words: object, answer: str | None = None) -> Result:
        environment = {"DATABASE_URL": database, "COLUMNS": "160", "TERM": "dumb"}
        return CliRunner().invoke(program(), [str(word) for word in words], env=environment, input=answer)

    return run


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failed(line: Line, tool: str = "weather", **columns: Any) -> UUID:
    job = line.ask(line.open(), tool)
    line.finish(job, line.claim(job), outcomes.failed("no", "There is none."))
    if columns:
        line.run(update(jobs).where(jobs.c.id == job).values(**columns))
    return job


@pytest.fixture
def served(line: Line) -> None:
    for announced in processes.announce("w", [WEATHER]):
        line.run(announced)


# — calls —


def test_one_call_is_retried_and_its_page_says_of_which_it_is_the_rerun(line: Line, run: Run) -> None:
    job = failed(line)
    said = run("jobs", "retry", str(job)[:8], "--reason", "the carrier is back")
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout.startswith(f"The job {job} runs once more, as ")
    again = said.stdout.partition(", as ")[2].partition(";")[0]
    assert f"rerun of  {job}" in run("jobs", "show", again).stdout
    refused = run("jobs", "retry", job)
    assert (refused.exit_code, f"A rerun of it is not over: {again}." in refused.stderr) == (2, True)
    (act,) = told(run("audit", "--json"))["data"]
    assert (act["act"], act["target"], act["reason"]) == ("job.retry", str(job), "the carrier is back")
    assert act["credential"].startswith("cli:")


def test_a_tool_that_may_not_run_twice_asks_for_the_confirmation(line: Line, run: Run) -> None:
    job = failed(line, effect=Effect.AT_MOST_ONCE)
    refused = run("jobs", "retry", job)
    assert refused.exit_code == 2
    assert "--confirm-at-most-once" in refused.stderr
    assert told(run("jobs", "retry", job, "--confirm-at-most-once", "--json"))["rerun_of"] == str(job)


@pytest.mark.parametrize(("verb", "act"), [("cancel", "job.cancel"), ("retry", "job.retry")])
def test_all_that_match_are_acted_on_once_that_is_confirmed(line: Line, run: Run, verb: str, act: str) -> None:
    make = failed if verb == "retry" else lambda line, tool="weather": line.ask(line.open(), tool)
    for tool in ("weather", "weather", "other"):
        make(line, tool)
    no = run("jobs", verb, "--tool", "weather", answer="n\n")
    assert (no.exit_code, "2 calls?" in no.output) == (1, True)
    assert told(run("audit", "--json"))["data"] == []
    yes = run("jobs", verb, "--tool", "weather", "--yes")
    assert (yes.exit_code, yes.stdout.startswith("2 calls ")) == (0, True)
    (recorded,) = told(run("audit", "--json"))["data"]
    assert (recorded["act"], recorded["rows"], recorded["filter"]["tool"]) == (act, 2, "weather")
    assert told(run("jobs", verb, "--tool", "other", "--yes", "--json"))["act"] == act
    nothing = run("jobs", verb, "--tool", "nothing")
    assert (nothing.exit_code, nothing.stderr) == (2, "ringback: No call matches that could be acted on.\n")


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_neither_all_calls_nor_an_id_with_filters_is_meant(line: Line, run: Run, verb: str) -> None:
    job = failed(line)
    assert "at least one filter" in run("jobs", verb).stderr
    assert "not both" in run("jobs", verb, job, "--tool", "weather").stderr
    assert "--since must be" in run("jobs", verb, "--since", "yesterday").stderr
    assert (
        "--reason must be" in run("jobs", "cancel", "--tool", "weather", "--reason", "x\ny").stderr or verb == "retry"
    )


def test_the_steps_of_calls_are_followed_as_they_are_written(line: Line, database: str) -> None:
    session = line.open()
    line.ask(session, "before")
    program = [sys.executable, "-m", "cli", "jobs", "tail", "--tool", "weather", "--json"]
    environment = {**os.environ, "DATABASE_URL": database}
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tail:
        assert tail.stderr is not None
        assert tail.stdout is not None
        assert "Following" in tail.stderr.readline()
        job = line.ask(session, "weather")
        line.ask(session, "other")
        line.finish(job, line.claim(job), outcomes.succeeded(1))
        steps = [json.loads(tail.stdout.readline()) for _ in range(3)]
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 0
        assert tail.stdout.read() == ""
    assert {step["id"] for step in steps} == {str(job)}
    assert [(step["state"], step["delivery"]) for step in steps] == [
        ("pending", "none"),
        ("running", "none"),
        ("succeeded", "ready"),
    ]


# — queues, tools, workers —


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("group", "name", "listing"),
    [
        ("queues", "default", ("queues", "list")),
        ("tools", "weather", ("tools", "list", "--live")),
    ],
)
def test_it_is_paused_limited_and_goes_on(
    line: Line, run: Run, group: str, name: str, listing: tuple[str, ...]
) -> None:
    line.ask(line.open())
    kind = group.removesuffix("s")
    assert run(group, "pause", name).stdout == f"The {kind} {name} is paused.\n"
    assert "paused" in next(row for row in run(*listing).stdout.splitlines() if row.startswith(name)).split()
    assert run(group, "limit", name, 2).stdout == f"The {kind} {name} is paused (and limited, at most 2 at once).\n"
    assert run(group, "resume", name).stdout == f"The {kind} {name} goes on, at most 2 at once.\n"
    shown = next(each for each in told(run(*listing, "--json"))["data"] if each["name"] == name)
    assert (shown["control"], shown["figures"]["calls"]) == ({"paused": False, "concurrency": 2}, 1)
    assert told(run(group, "limit", name, "none", "--json"))["control"]["concurrency"] is None
    assert f"There is no {kind} 'nothing'" in run(group, "pause", "nothing").stderr
    assert "NUMBER must be" in run(group, "limit", name, 0).stderr
    acts = [act["act"] for act in told(run("audit", "--json", "--act", f"{kind}.limit"))["data"]]
    assert acts == [f"{kind}.limit"] * 2


@pytest.mark.usefixtures("served")
def test_workers_are_listed_with_what_they_serve(line: Line, run: Run) -> None:
    rows = run("workers").stdout.splitlines()
    assert any(row.startswith("w ") and f"weather {WEATHER.version[:6]}" in row for row in rows)
    worker = next(each for each in told(run("workers", "--json"))["data"] if each["id"] == "w")
    assert worker["tools"] == [{"name": "weather", "version": WEATHER.version, "queue": "default"}]


@pytest.mark.usefixtures("served")
def test_a_screen_of_all_of_it_is_drawn_once_where_there_is_no_terminal(line: Line, run: Run) -> None:
    line.ask(line.open())
    screen = run("top")
    assert screen.exit_code == 0, screen.output
    assert "1 open" in screen.stdout
    assert "1 waiting" in screen.stdout
    assert {"QUEUE", "TOOL", "ID"} <= set(screen.stdout.split())
    seen = told(run("top", "--json"))
    assert (seen["sessions"], seen["tools"][0]["name"]) == ({"open": 1}, "weather")
    assert "--every must be" in run("top", "--every", "0.1").stderr


def test_the_audit_log_is_a_table_and_says_when_it_is_empty(line: Line, run: Run) -> None:
    assert run("audit").stderr == "No act fits.\n"
    run("jobs", "cancel", line.ask(line.open()), "--reason", "a test")
    header, row = run("audit").stdout.splitlines()
    assert header.split()[:2] == ["AT", "(UTC)"]
    assert {"job.cancel", "1", "test"} <= set(row.split())
    assert "--act must be one of" in run("audit", "--act", "eat").stderr


def test_an_approval_and_the_end_of_a_session_are_told_as_json_and_recorded(line: Line, run: Run) -> None:
    session = line.open()
    job = line.ask(session, needs_approval=True)
    assert told(run("jobs", "approve", job, "--json", "--reason", "they are known"))["approval"] == "granted"
    assert told(run("sessions", "end", session, "--json"))["sessions"] == 1
    acts = [act["act"] for act in told(run("audit", "--json"))["data"]]
    assert acts == ["session.end", "job.approve"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_made(shell: str) -> None:
    environment = {**os.environ, "_RINGBACK_COMPLETE": f"source_{shell}"}
    made = subprocess.run([sys.executable, "-m", "cli"], env=environment, capture_output=True, text=True, check=True)
    assert "_RINGBACK_COMPLETE" in made.stdout


def test_a_recording_is_saved_and_the_audit_log_says_so(line: Line, run: Run, tmp_path: Path) -> None:
    session, file = line.open(), tmp_path / "talk.wav"
    refused = run("sessions", "recording", session, "--output", file)
    assert (refused.exit_code, "has no recording" in refused.stderr, file.exists()) == (2, True, False)
    sound = b"\x00\x40" * 4_800
    line.run(recordings.save(session, [Piece(Voice.MODEL, 1, 100, 200, Codec.PCM, 24_000, sound, b"\x40" * 10)]))
    said = run("sessions", "recording", str(session)[:8], "--output", file, "--reason", "a complaint")
    assert (said.exit_code, said.stdout) == (0, f"{file}: 0.3 s, left the caller, right the model.\n")
    with wave.open(str(file)) as whole:
        assert (whole.getnchannels(), whole.getnframes()) == (2, 7_200)
        assert whole.readframes(2_401)[-4:] == b"\x00\x00\x00\x40"
    (act,) = told(run("audit", "--json"))["data"]
    assert (act["act"], act["target"], act["reason"]) == ("session.listen", str(session), "a complaint")
    nowhere = run("sessions", "recording", session, "--output", tmp_path / "no" / "talk.wav")
    assert (nowhere.exit_code, "cannot be written: No such file or directory" in nowhere.stderr) == (2, True)
