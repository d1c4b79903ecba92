"""`ringback usage` and `ringback tenants` on a real Postgres, at a fixed width."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import typer
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner, Result

from cli import tenants
from cli.usage import usage
from ringback.config.settings import postgres_url
from ringback.tables import tenants as table
from tests.integration.api.test_usage import TODAY, is_today, use

Run = Callable[..., Result]

program = typer.Typer()
program.add_typer(tenants.app)
program.command("usage")(usage)


@pytest.fixture
def run(database: str) -> Run:
    environment = {"DATABASE_URL": database, "COLUMNS": "120", "TERM": "dumb"}
    return lambda *words: CliRunner().invoke(program, [str(word) for word in words], env=environment)


@pytest.fixture
def rows(database: str) -> Iterator[Engine]:
    engine = create_engine(postgres_url(database), poolclass=NullPool)
    yield engine
    engine.dispose()


def told(result: Result) -> list[list[str]]:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return [line.split() for line in result.stdout.splitlines()]


def test_what_was_used_is_told_line_by_line_and_in_total(run: Run, rows: Engine) -> None:
    use(rows, input_tokens=1_234)
    use(rows, user_id="bob", responses=3)
    assert told(run("usage", "--by", "user")) == [
        ["USER", "RESPONSES", "TOKENS", "IN", "TOKENS", "OUT", "US", "DOLLARS"],
        ["ann", "1", "1,234", "5", "0.2500"],
        ["bob", "3", "10", "5", "0.2500"],
        ["all", "together", "4", "1,244", "10", "0.5000"],
    ]


def test_an_erased_user_has_no_name(run: Run, rows: Engine) -> None:
    use(rows, user_id="")
    assert told(run("usage", "--by", "user"))[1][0] == "(erased)"


def test_it_prints_what_the_api_answers(run: Run, rows: Engine) -> None:
    use(rows, responses=7)
    use(rows, tenant="other")
    document = json.loads(run("usage", "--tenant", "other", "--json").stdout)
    assert (document["from"] <= document["to"], is_today(document["to"])) == (True, True)
    assert document["data"] == [
        {"responses": 1, "input_tokens": 10, "output_tokens": 5, "cost": 0.25, "key": str(TODAY)}
    ]


def test_where_nothing_was_used_it_says_so(run: Run, rows: Engine) -> None:
    result = run("usage", "--from", "2026-01-01", "--to", "2026-01-31")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "There was no usage from 2026-01-01 to 2026-01-31.\n"


def test_where_there_is_more_it_says_how_to_go_on(run: Run, rows: Engine) -> None:
    for user in ("ann", "bob", "eve"):
        use(rows, user_id=user)
    result = run("usage", "--by", "user", "--limit", 2)
    assert "There are more: raise --limit, or go on with --after bob" in result.stderr
    assert told(run("usage", "--by", "user", "--after", "bob"))[1][0] == "eve"


WRONG = (
    (["usage", "--by", "tool"], "--group-by must be day, user, agent or model, not 'tool'."),
    (["usage", "--from", "yesterday"], "--from must be a day such as 2026-01-31, not 'yesterday'."),
    (["usage", "--from", "2026-02-01", "--to", "2026-01-01"], "--from must not be after to: 2026-02-01 is after"),
    (["tenants", "set", "acme"], "Give at least one limit, such as --sessions-per-user 20."),
    (
        ["tenants", "set", "acme", "--sessions", "many"],
        "--sessions must be a whole number, at most 1,000,000, or none, or default, not 'many'.",
    ),
    (["tenants", "set", "acme", "--sessions", "-1"], "--sessions must be a whole number, at most 1,000,000, or none"),
    (["tenants", "set", "acme", "--sessions-per-user", "3000000000"], "--sessions-per-user must be a whole number, at"),
    (["tenants", "set", "acme", "--tokens-per-day", "9" * 20], "--tokens-per-day must be a whole number, at most 1,"),
    (["tenants", "set", "acme", "--cost-per-day", "inf"], "--cost-per-day must be an amount such as 2.50, at most 1,"),
    (
        ["tenants", "set", "acme", "--cost-per-day", "5e"],
        "--cost-per-day must be an amount such as 2.50, at most 1,000,000,000, or none, or default",
    ),
    (
        ["tenants", "set", "acme", "--cost-per-day", "nan"],
        "--cost-per-day must be an amount such as 2.50, at most 1,000,000,000, or none, or default",
    ),
    (["tenants", "set", "acme", "--retention-days", "1.5"], "--retention-days must be a whole number up to 36500, or"),
    (["tenants", "show", "acme"], "The tenant 'acme' has no limits of its own: the gateways' settings hold for it."),
    (["tenants", "show", ""], "TENANT must be 1 to 200 printable characters."),
)


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_wrong_input_is_one_sentence(run: Run, rows: Engine, words: list[str], sentence: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"ringback: {sentence}")


def allowed(rows: Engine, tenant: str = "acme") -> object:
    with rows.begin() as connection:
        return connection.execute(select(table.c.allowances).where(table.c.tenant == tenant)).scalar_one()


def test_what_is_set_stays_until_it_is_set_otherwise(run: Run, rows: Engine) -> None:
    run("tenants", "set", "acme", "--sessions-per-user", 20, "--cost-per-day", "12.50")
    assert allowed(rows) == {"sessions_per_user": 20, "cost_per_day": 12.5}
    run("tenants", "set", "acme", "--sessions-per-user", "none", "--tokens-per-day", 1_000_000)
    assert allowed(rows) == {"sessions_per_user": None, "cost_per_day": 12.5, "tokens_per_day": 1_000_000}
    run("tenants", "set", "acme", "--sessions-per-user", "default", "--retention-days", 30)
    assert allowed(rows) == {"cost_per_day": 12.5, "tokens_per_day": 1_000_000}
    shown = told(run("tenants", "show", "acme"))[1]
    assert shown == ["acme", "–", "–", "1,000,000", "–", "12.5", "–", "30", "days"]
    run("tenants", "set", "acme", "--retention-days", "default")
    document = json.loads(run("tenants", "show", "acme", "--json").stdout)
    assert document == {"tenant": "acme", "allowances": allowed(rows), "retention_days": None}


def test_setting_one_tenant_leaves_the_others(run: Run, rows: Engine) -> None:
    document = json.loads(run("tenants", "set", "acme", "--sessions", 1, "--json").stdout)
    assert document == {"tenant": "acme", "allowances": {"sessions": 1}, "retention_days": None}
    run("tenants", "set", "zoo", "--sessions", 0)
    assert [(row[0], row[1]) for row in told(run("tenants", "list"))[1:]] == [("acme", "1"), ("zoo", "0")]
    assert [each["tenant"] for each in json.loads(run("tenants", "list", "--json").stdout)] == ["acme", "zoo"]


def test_where_no_tenant_has_limits_it_says_so(run: Run, rows: Engine) -> None:
    result = run("tenants", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("No tenant has its own limits.")
