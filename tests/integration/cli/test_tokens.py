"""`ringback token`, `ringback users` and `ringback sessions end` on a real Postgres."""

from __future__ import annotations

import json

import pytest
import typer
from sqlalchemy import select, text
from typer.testing import CliRunner, Result

from cli import sessions, tokens, users
from gateway.auth.tokens import Kind, digest, kind_of
from ringback.statements.identity import credentials
from ringback.tables import audit
from ringback.tables import sessions as sessions_table
from tests.integration.statements.test_history import Line, line_on

program = typer.Typer()
for group in (tokens.app, users.app, sessions.app):
    program.add_typer(group)


@pytest.fixture
def run(database: str) -> object:
    environment = {"DATABASE_URL": database, "COLUMNS": "120", "TERM": "dumb"}
    return lambda *words: CliRunner().invoke(program, [str(word) for word in words], env=environment)


@pytest.fixture
def line(database: str) -> object:
    with line_on(database) as line:
        yield line


def made(run: object, *more: str) -> tuple[str, str]:
    """A new key, and its id."""
    assert callable(run)
    result: Result = run("token", "create", "--user", "shop", *more)
    assert result.exit_code == 0, result.output
    return result.stdout.strip(), result.stderr.split()[2]


def test_a_key_for_a_caller_on_the_phone_is_refused(run: object, line: Line) -> None:
    assert callable(run)
    result: Result = run("token", "create", "--user", "phone:+4930222")
    assert result.exit_code != 0
    assert "may not begin with 'phone:'" in " ".join(result.output.split())
    assert line.run(credentials.keys(None)) == []


def test_a_key_is_printed_once_and_kept_as_a_hash(run: object, line: Line) -> None:
    key, key_id = made(run, "--scopes", "realtime, history,orders:write", "--tenant", "acme")
    assert kind_of(key) is Kind.KEY
    (row,) = line.run(credentials.key_by_hash(digest(key)))
    assert (str(row.id), row.tenant, row.user_id, row.scopes) == (
        key_id,
        "acme",
        "shop",
        ["history", "orders:write", "realtime"],
    )
    assert callable(run)
    for words in (("token", "list"), ("token", "list", "--json"), ("token", "list", "--tenant", "acme")):
        listed = run(*words)
        assert key_id[:8] in listed.stdout
        assert key not in listed.output
    assert key_id[:8] not in run("token", "list", "--tenant", "other").stdout
    assert json.loads(run("token", "list", "--json").stdout)["data"][0]["id"] == key_id


def test_a_key_may_be_good_for_some_days(run: object, line: Line) -> None:
    made(run, "--days", "1.5")
    (row,) = line.run(text("SELECT extract(epoch FROM expires_at - created_at) AS seconds FROM api_keys"))
    assert float(row.seconds) == pytest.approx(1.5 * 86_400, abs=60)


def test_revoking_a_key_ends_what_was_begun_with_it(run: object, line: Line) -> None:
    key, key_id = made(run)
    session, other = line.open(), line.open()
    line.run(
        sessions_table.update()
        .where(sessions_table.c.id == session)
        .values(credential=f"key:{key_id}")
        .returning(text("1"))
    )
    job = line.ask(session)
    assert callable(run)
    result = run("token", "revoke", key_id[:8])
    assert result.stdout == f"The key {key_id} is revoked; 1 session ends, 1 call is cancelled.\n"
    assert line.run(credentials.key_by_hash(digest(key))) == []
    ends = {row.id: row.end_wanted for row in line.run(select(sessions_table))}
    assert ends == {session: "revoked", other: None}
    (state,) = line.run(text(f"SELECT state, cancel_reason FROM jobs WHERE id = '{job}'"))  # noqa: S608
    assert tuple(state) == ("cancelled", "operator")
    assert "revoked" in run("token", "list").stdout


def test_keys_and_sign_outs_are_told_as_json(run: object, line: Line) -> None:
    line.open()
    assert callable(run)
    made = json.loads(run("token", "create", "--user", "ada", "--json").stdout)
    assert kind_of(made["value"]) is Kind.KEY
    signed_out = json.loads(run("users", "sign-out", "ada", "--reason", "left", "--json").stdout)
    assert signed_out.pop("before")
    assert signed_out == {"object": "sign_out", "user": "ada", "secrets": 0, "keys": 1, "sessions": 1, "calls": 0}
    revoked, again = [json.loads(run("token", "revoke", made["id"], "--json").stdout) for _ in range(2)]
    assert again == revoked
    acts = [(row.act, row.target, row.reason) for row in line.run(select(audit).order_by(audit.c.id))]
    expected = [("key.create", made["id"], None), ("user.sign_out", "ada", "left"), ("key.revoke", made["id"], None)]
    assert acts == expected, "each is recorded once"
    assert (revoked["object"], revoked["id"], revoked["sessions"], revoked["calls"]) == ("key", made["id"], 0, 0)
    assert revoked["revoked_at"]
    assert "value" not in revoked


def test_a_user_is_signed_out_everywhere(run: object, line: Line) -> None:
    session = line.open()
    job = line.ask(session)
    line.claim(job)
    assert callable(run)
    result = run("users", "sign-out", "ada")
    assert result.stdout == "ada is signed out: 1 session ends, 1 call is cancelled, 0 client secrets are void.\n"
    (row,) = line.run(text("SELECT state, cancel_requested FROM jobs"))
    assert tuple(row) == ("running", True), "its worker is told"
    (row,) = line.run(select(sessions_table.c.end_wanted).where(sessions_table.c.id == session))
    assert row.end_wanted == "revoked"
    assert len(line.run(text("SELECT 1 FROM signed_out WHERE user_id = 'ada'"))) == 1


def test_a_session_is_ended_once(run: object, line: Line) -> None:
    session = line.open()
    assert callable(run)
    assert run("sessions", "end", str(session)[:8]).stdout == (
        f"The session {session}: 1 session ends, 0 calls are cancelled.\n"
    )
    line.end(session)
    refused = run("sessions", "end", session)
    assert (refused.exit_code, "is over already" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("token", "create", "--user", ""), "--user must be 1 to 200 printable characters."),
        (("token", "create", "--user", "a\nb"), "--user must be"),
        (("token", "create", "--user", "a", "--tenant", ""), "--tenant must be"),
        (("token", "create", "--user", "a", "--scopes", " , "), "--scopes names no scope"),
        (("token", "create", "--user", "a", "--scopes", "a b"), "--scopes 'a b': use 1 to 128"),
        (("token", "create", "--user", "a", "--days", "0"), "--days must be above 0"),
        (("token", "create", "--user", "a", "--days", "nan"), "--days must be above 0"),
        (("token", "revoke", "aaaaaaa"), "There is no key 'aaaaaaa'."),
        (("token", "revoke", "x"), "ID must be an id"),
        (("users", "sign-out", ""), "USER must be"),
        (("sessions", "end", "aaaaaaa"), "There is no session 'aaaaaaa'."),
    ],
)
def test_wrong_input_gets_a_sentence(run: object, words: tuple[str, ...], sentence: str) -> None:
    assert callable(run)
    result = run(*words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
