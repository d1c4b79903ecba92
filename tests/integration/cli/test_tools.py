"""`ringback tools` with workers: what they serve, and a call by hand that goes through the real queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, select

from ringback.config.settings import postgres_url
from ringback.tables import jobs, processes, sessions
from tests import forked
from tests.integration.toolbox.line import PATIENCE, ROOT, Line, eventually

pytestmark = pytest.mark.long  # a worker, and a process for each command


@pytest.fixture(scope="module")
def line(migrated_module_database: str, redis_url: str) -> Iterator[Line]:
    line = Line(migrated_module_database, redis_url)
    with line.worker():
        yield line
    line.close()


@pytest.fixture(scope="module")
def migrated_module_database(database_url: str, migrated_template: str) -> Iterator[str]:
    from tests.servers import own_database

    with own_database(database_url, "ringback_tools_cli", migrated_template) as url:
        yield url


def command(line: Line, *words: str) -> tuple[list[str], dict[str, str]]:
    env = {**os.environ, **line.environment(), "COLUMNS": "140"}
    return [sys.executable, "-W", "ignore", "-m", "cli", "tools", *words], env


def run(line: Line, *words: str) -> subprocess.CompletedProcess[str]:
    argv, env = command(line, *words)
    return forked.run(argv, cwd=ROOT, env=env, timeout=PATIENCE * 2)


def rows_of(line: Line, job_id: str) -> tuple[object, object]:
    """The job's row and its session's."""
    engine = create_engine(postgres_url(line.database))
    with engine.connect() as connection:
        job = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
        session = connection.execute(select(sessions).where(sessions.c.id == job.session_id)).one()
    engine.dispose()
    return job, session


def job_id_in(told: str) -> str:
    """`job ID: state` is the last line of what the command says on standard error."""
    return told.splitlines()[-1].removeprefix("job ").partition(":")[0]


def test_what_live_workers_serve_is_listed(line: Line) -> None:
    listed = run(line, "list", "--live")
    assert listed.returncode == 0, listed.stderr
    header, *rows = listed.stdout.splitlines()
    assert header.split()[:7] == ["TOOL", "STATE", "QUEUE", "WORKERS", "RUNNING", "CALLS", "ERRORS"]
    assert ["echo_async", "–", "errands", "1", "0", "0", "–"] in [row.split()[:7] for row in rows]


def test_a_call_through_the_queue_prints_what_the_model_would_read(line: Line) -> None:
    called = run(line, "run", "echo", "text=hello", "--queue", "--user", "ada")
    assert called.returncode == 0, called.stderr
    answer = json.loads(called.stdout)
    assert (answer["text"], answer["user"], answer["attempt"]) == ("hello", "ada", 1)
    assert answer["pid"] != os.getpid()
    job, session = rows_of(line, job_id_in(called.stderr))
    assert (job.state, job.delivery) == ("succeeded", "history_only")  # type: ignore[attr-defined]
    assert (session.state, session.end_reason, session.user_id) == (  # type: ignore[attr-defined]
        "ended",
        "by_hand",
        "ada",
    )


def test_nothing_of_ours_is_left_behind(line: Line) -> None:
    run(line, "run", "echo_async", "text=hello", "--queue")
    engine = create_engine(postgres_url(line.database))
    with engine.connect() as connection:
        mine = processes.c.id.like("by-hand-%")
        alive = connection.execute(select(processes.c.id).where(mine, processes.c.ended_at.is_(None))).all()
        held = connection.execute(select(sessions.c.id).where(sessions.c.gateway_id.like("by-hand-%"))).all()
        still_open = connection.execute(
            select(sessions.c.id).where(sessions.c.gateway_id.like("by-hand-%"), sessions.c.state != "ended")
        ).all()
    engine.dispose()
    assert (alive, still_open) == ([], [])
    assert held, "the history keeps them"


def test_an_error_through_the_queue_is_told_and_fails(line: Line) -> None:
    called = run(line, "run", "oversleep_async", "--queue")
    assert called.returncode == 1
    assert called.stdout == ""
    told, sentence = called.stderr.splitlines()[-2:]
    assert told.endswith(": timed_out")
    assert sentence.startswith("ringback: timed_out: The function did not finish in time.")


def test_a_tool_that_nobody_serves_is_named_with_those_that_are(line: Line) -> None:
    called = run(line, "run", "cook", "--queue")
    assert called.returncode == 2
    assert called.stderr.startswith("ringback: no live worker serves a tool 'cook'; the tools that are served: ")
    assert "echo_async" in called.stderr


def test_whoever_gives_up_takes_the_call_along(line: Line) -> None:
    argv, env = command(line, "run", "nap", "seconds=25", "--queue")
    with subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as by_hand:
        eventually(lambda: line.count("running") > 0, "a worker to begin")
        by_hand.send_signal(signal.SIGINT)
        _, told = by_hand.communicate(timeout=PATIENCE)
    assert by_hand.returncode == 1, told
    assert told.splitlines()[-1].endswith(": cancelled, as this command has ended")
    eventually(lambda: line.count("running") == 0, "the worker to let go")
    assert line.count("cancelled") > 0
