"""`ringback jobs` and `ringback sessions` on a real Postgres, at a fixed width."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner, Result

from cli import jobs, sessions
from cli.output.history_queries import reading
from ringback.jobs import outcomes
from ringback.postgres import migrate
from tests.integration.api.test_history import Api
from tests.integration.statements.test_history import LONG_AGO, Line, line_on

Run = Callable[..., Result]
ALIKE = [UUID(f"3f2a9c1b-0000-4000-8000-{number:012x}") for number in (1, 2)]

program = typer.Typer()
program.add_typer(jobs.app)
program.add_typer(sessions.app)


def run_on(database_url: str, *words: object, width: int = 100) -> Result:
    environment = {"DATABASE_URL": database_url, "COLUMNS": str(width), "TERM": "dumb"}
    return CliRunner().invoke(program, [str(word) for word in words], env=environment)


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def run(database: str) -> Run:
    return lambda *words, **given: run_on(database, *words, **given)


def answered(line: Line) -> tuple[UUID, UUID]:
    """A session with one call that went all the way round."""
    session = line.open()
    job = line.ask(session, "weather", {"city": "London"})
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": "grey"}))
    line.deliver(session, job)
    return session, job


@pytest.mark.parametrize("width", [80, 100, 120])
def test_jobs_are_listed_one_a_line(line: Line, run: Run, width: int) -> None:
    _, job = answered(line)
    result = run("jobs", "list", width=width)
    assert (result.exit_code, result.stderr) == (0, "")
    header, row = result.stdout.splitlines()
    assert max(len(header), len(row)) <= width
    assert row.startswith(str(job)[:8])
    assert {"weather", "succeeded", "acked", "1/2"} <= set(row.split())


def test_a_job_is_shown_by_the_beginning_of_its_id(line: Line, run: Run) -> None:
    _, job = answered(line)
    result = run("jobs", "show", str(job)[:6])
    assert (result.exit_code, result.stderr) == (0, "")
    words = result.stdout.split()
    assert [word for word in words if word in {"pending", "running", "ready", "sent"}] == [
        "pending",
        "running",
        "ready",
        "sent",
    ]
    assert '"city": "London"' in result.stdout
    assert '"sky": "grey"' in result.stdout


def test_sessions_are_listed_and_shown(line: Line, run: Run) -> None:
    session, job = answered(line)
    line.end(session)
    row = run("sessions", "list").stdout.splitlines()[1]
    assert row.startswith(str(session)[:8])
    assert {"ada", "demo", "ended", "1", "client_left"} <= set(row.split())
    shown = run("sessions", "show", str(session)[:8])
    assert shown.exit_code == 0
    assert str(session) in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith(str(job)[:8])


def test_json_is_what_the_api_answers_and_more_for_those_who_run_it(database: str, line: Line, run: Run) -> None:
    session, job = answered(line)
    line.ask(session, "order_status")
    api = Api(database)
    for words, path in (
        (("jobs", "list", "--limit", "1"), "/v1/jobs?limit=1"),
        (("sessions", "list", "--state", "open"), "/v1/sessions?state=open"),
    ):
        assert run(*words, "--json").stdout_bytes == api.answer(path).content + b"\n"
    for what, of, more in (("jobs", job, {"failure"}), ("sessions", session, {"transcript", "is_cut"})):
        shown, told = json.loads(run(what, "show", of, "--json").stdout), api.answer(f"/v1/{what}/{of}").json()
        assert {name: value for name, value in shown.items() if name not in more} == told
        assert more.isdisjoint(told), "the API shows it to no tenant"


def test_filters_narrow_what_is_listed(line: Line, run: Run) -> None:
    session, job = answered(line)
    other = line.open("night")
    order = line.ask(other, "order_status")
    (old,) = line.insert_jobs(1, other, created_at=LONG_AGO)

    def found(*words: str) -> list[UUID]:
        what = words[0]
        assert what in {"jobs", "sessions"}
        return [UUID(each["id"]) for each in json.loads(run(*words, "--json").stdout)["data"]]

    assert found("jobs", "list") == [order, job, old]
    assert found("jobs", "list", "--session", str(session)[:8]) == [job]
    assert found("jobs", "list", "--tool", "weather", "--since", "1h") == [job]
    assert found("jobs", "list", "--state", "succeeded", "--state", "running") == [job]
    assert found("jobs", "list", "--queue", "slow") == [order]
    assert found("sessions", "list", "--agent", "night", "--state", "open,ended") == [other]
    assert found("sessions", "list", "--since", "1h") == [other, session]


def test_a_list_that_goes_on_says_how(line: Line, run: Run) -> None:
    line.insert_jobs(3, line.open(), created_at=LONG_AGO)
    first = run("jobs", "list", "--limit", "2")
    assert "There are more" in first.stderr
    rest = run("jobs", "list", "--limit", "2", "--after", first.stderr.split()[-1])
    assert (len(first.stdout.splitlines()), len(rest.stdout.splitlines()), rest.stderr) == (3, 2, "")


def test_an_empty_list_says_so_beside_the_output(run: Run, line: Line) -> None:
    for words, said in ((("jobs", "list"), "No job fits.\n"), (("sessions", "list"), "No session fits.\n")):
        result = run(*words)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("jobs", "list", "--limit", "many"), "--limit must be a whole number from 1 to 200, not 'many'."),
        (("jobs", "list", "--since", "soon"), "--since must be a time such as"),
        (("jobs", "list", "--state", "done"), "--state must be one or more of pending, running,"),
        (("jobs", "list", "--session", "x"), "--session must be an id, or at least its first 6 characters, not 'x'."),
        (("jobs", "list", "--session", "aaaaaa"), "There is no session 'aaaaaa'."),
        (("jobs", "show", "3f2"), "ID must be an id, or at least its first 6 characters, not '3f2'."),
        (("jobs", "show", str(UUID(int=0))), f"There is no job '{UUID(int=0)}'."),
        (("sessions", "list", "--after", "x"), "--after must be the `next` of the page before, not 'x'."),
        (("sessions", "show", "aaaaaaa"), "There is no session 'aaaaaaa'."),
    ],
)
def test_wrong_input_gets_one_sentence_and_exit_code_2(run: Run, words: tuple[str, ...], sentence: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"ringback: {sentence}")
    assert result.stderr.count("\n") == 1


def test_an_id_that_begins_two_jobs_is_told_with_both(line: Line, run: Run) -> None:
    line.insert_jobs(ALIKE, line.open())
    result = run("jobs", "show", "3f2a9c1b")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"ringback: '3f2a9c1b' begins the id of more than one job: {ALIKE[0]}, {ALIKE[1]}.\n"


def test_a_command_sees_one_moment(database: str, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    count = text("SELECT count(*) FROM sessions")
    with reading() as read:
        before = read(count)
        line.open()
        assert read(count) == before != line.run(count)


def test_a_command_cannot_write(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        with reading() as read:
            read(text("DELETE FROM sessions"))

    monkeypatch.setenv("DATABASE_URL", database)
    with pytest.raises(typer.Exit) as ended:
        write()
    assert ended.value.exit_code == 1
    assert "read-only transaction" in capsys.readouterr().err


def test_another_tenants_rows_are_there_for_who_names_it(line: Line, run: Run) -> None:
    session, job = line.foreign_job()
    assert run("jobs", "show", job, "--tenant", "other", "--json").exit_code == 0
    assert run("sessions", "show", session, "--tenant", "other", "--json").exit_code == 0
    assert str(job)[:8] in run("jobs", "list", "--tenant", "other", "--session", session).stdout
    assert str(session)[:8] in run("sessions", "list", "--tenant", "other").stdout
    assert run("jobs", "cancel", job, "--tenant", "nobody").exit_code == 2
    assert run("jobs", "cancel", job, "--tenant", "other").stdout == f"The job {job} is cancelled.\n"


def test_another_tenants_rows_are_not_there(line: Line, run: Run) -> None:
    session, job = line.foreign_job()
    assert run("jobs", "show", job).stderr == f"ringback: There is no job '{job}'.\n"
    assert run("sessions", "show", session).stderr == f"ringback: There is no session '{session}'.\n"
    assert run("jobs", "list").stderr == "No job fits.\n"


@pytest.mark.parametrize(
    ("url", "exit_code", "sentence"),
    [
        ("postgresql://ada:secret@127.0.0.1:1/name", 1, "The database in DATABASE_URL cannot be reached: "),
        ("postgresql://ada:sec@ret@127.0.0.1:1/name", 2, "DATABASE_URL is not usable: it has more than one @"),
        ("postgresql://ada:secret@127.0.0.1:port/name", 2, "DATABASE_URL is not usable: it has a port that is "),
        (f"postgresql://ada:secret@{'x' * 70}/name", 2, "DATABASE_URL is not usable: it names a host that "),
        ("mysql://ada:secret@127.0.0.1/name", 2, "DATABASE_URL is not usable: must look like "),
    ],
)
@pytest.mark.parametrize("words", [("jobs", "list"), ("sessions", "show", str(uuid4()))])
def test_a_database_out_of_reach_is_one_sentence_without_the_password(
    url: str, exit_code: int, sentence: str, words: tuple[str, ...]
) -> None:
    result = run_on(url, *words)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.startswith(f"ringback: {sentence}")
    assert result.stderr.count("\n") == 1
    assert "sec" not in result.stderr
    assert "ret@" not in result.stderr


def test_a_database_without_our_tables_is_told_what_to_do(database: str, run: Run) -> None:
    migrate.downgrade(database)
    result = run("jobs", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        result.stderr
        == "ringback: The database in DATABASE_URL has no tables of ringback's yet: run `ringback migrate`.\n"
    )
