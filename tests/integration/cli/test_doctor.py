"""`ringback doctor`, against what is in order and against what is broken. No line shows a password."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from redis import Redis
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from cli.checks import broker, database
from cli.checks.check import Check, looked_at
from cli.main import program
from ringback.errors import ConfigurationError
from ringback.redis.keyspace import USER_RULES
from tests.integration.statements.test_history import line_on
from tests.servers import in_dialect

Doctor = Callable[..., tuple[int, dict[str, Any]]]
NOWHERE = "redis://:hunter2hunter2@127.0.0.1:1/0"


@pytest.fixture
def doctor(database: str, redis_db: str) -> Doctor:
    def run(*words: str, **changed: str | None) -> tuple[int, dict[str, Any]]:
        environment = {
            "DATABASE_URL": database,
            "REDIS_URL": redis_db,
            "REALTIME_PROVIDER": "simulator",
            "REALTIME_URL": "ws://127.0.0.1:1/v1/realtime",
            "RINGBACK_TOKENS": "ada:a-token-of-a-user",
            "RINGBACK_AGENTS": "agents",
            **changed,
        }
        result = CliRunner().invoke(program(), ["doctor", "--json", *words], env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert "hunter2" not in result.output
        lines = json.loads(result.stdout)["data"]
        return result.exit_code, {line["name"]: line for line in reversed(lines)}

    return run


def statuses(lines: Mapping[str, Any]) -> dict[str, str]:
    return {name: line["status"] for name, line in lines.items()}


def test_what_is_in_order_is_ok_and_what_does_not_run_is_a_warning(database: str, doctor: Doctor) -> None:
    with line_on(database):
        code, lines = doctor("--no-upstream")
    found = statuses(lines)
    assert [line for line in lines.values() if line["status"] == "fail"] == []
    assert {name for name, status in found.items() if status == "fail"} == set()
    assert code == 0
    wanted = [
        *("settings", "postgres", "encoding", "schema", "rights", "clock", "pooler", "connections"),
        *("redis", "redis rights", "redis eviction", "redis persistence", "agents", "gateways", "workers"),
    ]
    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, "ok")
    assert found["production"] == "warn"


def test_without_processes_it_says_how_to_start_them(doctor: Doctor) -> None:
    _, lines = doctor("--no-upstream")
    assert (lines["workers"]["status"], "ringback worker" in lines["workers"]["do"]) == ("warn", True)


def test_a_realtime_api_that_is_not_there_is_told(doctor: Doctor) -> None:
    code, lines = doctor()
    assert (code, lines["realtime API"]["status"]) == (1, "fail")
    assert "ringback simulator" in lines["realtime API"]["do"]


def test_a_redis_and_a_postgres_that_are_not_there_are_told_without_their_passwords(doctor: Doctor) -> None:
    code, lines = doctor("--no-upstream", REDIS_URL=NOWHERE, DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/ringback")
    assert code == 1
    assert {name: lines[name]["status"] for name in ("redis", "postgres")} == {"redis": "fail", "postgres": "fail"}
    assert "processes" in lines


def test_bad_settings_are_one_sentence_and_the_stores_are_checked_all_the_same(doctor: Doctor) -> None:
    code, lines = doctor("--no-upstream", REALTIME_PROVIDER="openai", REALTIME_API_KEY="")
    assert (code, lines["settings"]["status"], lines["postgres"]["status"]) == (1, "fail", "ok")
    assert "REALTIME_API_KEY" in lines["settings"]["says"]
    _, lines = doctor("--no-upstream", DATABASE_URL="nonsense")
    assert "DATABASE_URL" in lines["settings"]["says"]
    _, lines = doctor("--no-upstream", RINGBACK_AGENTS="/nowhere")
    assert lines["agents"]["status"] == "fail"


def test_a_model_that_is_not_reached_is_named_with_its_address_and_no_fault_where_no_provider_is_set(
    doctor: Doctor,
) -> None:
    code, lines = doctor()
    assert (code, lines["realtime API"]["says"]) == (1, "simulator is not reached at 127.0.0.1:1")
    _, lines = doctor(REALTIME_PROVIDER=None, REALTIME_URL=None, RINGBACK_SIMULATOR_URL="ws://127.0.0.1:2/v1/realtime")
    assert lines["realtime API"]["says"] == "simulator is not reached at 127.0.0.1:2"
    assert lines["realtime API"]["status"] == "warn"


@pytest.fixture
def odd_database(database: str) -> Iterator[str]:
    """A database that keeps text as LATIN1, without tables."""
    url = make_url(in_dialect(database, "postgresql"))
    name = sql.Identifier(f"{url.database}_latin")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        made = "CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        connection.execute(sql.SQL(made).format(name))
        yield url.set(database=f"{url.database}_latin").render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_a_database_that_cannot_keep_every_character_or_has_no_tables_is_told(
    odd_database: str, doctor: Doctor
) -> None:
    code, lines = doctor("--no-upstream", DATABASE_URL=odd_database)
    assert (code, lines["encoding"]["status"], lines["schema"]["status"]) == (1, "fail", "fail")
    assert "ringback migrate" in lines["schema"]["do"]


def test_a_redis_user_without_rights_is_told_which_it_needs(redis_db: str, doctor: Doctor) -> None:
    name = f"doctor-{uuid4().hex[:8]}"
    with Redis.from_url(redis_db) as client:
        client.execute_command("ACL", "SETUSER", name, "on", ">hunter2hunter2", *USER_RULES.split(), "-hset")
        try:
            parts = urlsplit(redis_db)
            address = f"{parts.hostname}:{parts.port}{parts.path}"
            code, lines = doctor("--no-upstream", REDIS_URL=f"redis://{name}:hunter2hunter2@{address}")
        finally:
            client.execute_command("ACL", "DELUSER", name)
    assert (code, lines["redis rights"]["status"]) == (1, "fail")
    assert "may not HSET" in lines["redis rights"]["says"]
    assert USER_RULES in lines["redis rights"]["do"]


# — what a server would have to be broken for: the answers are, and the check is not —

SOON, LONG = 1_000.0, 1_100.0


@pytest.mark.parametrize(("theirs", "status"), [(SOON, "ok"), (SOON + 3, "warn"), (SOON - 3, "warn"), (LONG, "fail")])
def test_a_clock_that_is_off_is_told(theirs: float, status: str) -> None:
    assert database.clock(lambda _: [(theirs,)], lambda: SOON).status == status


@pytest.mark.parametrize(("found", "status"), [("0011", "fail"), ("0012", "ok"), ("0013", "warn"), (None, "fail")])
def test_a_schema_of_another_revision_is_told(found: str | None, status: str) -> None:
    answers: dict[bytes, list[Any]] = {
        database.TABLES: [(found is not None,)],
        database.REVISION: [(found,)],
        database.RIGHTS: [(True, False, True)],
    }
    assert next(database.schema(answers.__getitem__, "0012")).status == status


@pytest.mark.parametrize(
    ("rights", "words"),
    [((True, False, False), "may not write"), ((True, True, True), "does not own"), ((None, False, True), "the role")],
)
def test_rights_that_are_missing_are_told(rights: tuple[Any, ...], words: str) -> None:
    answers: dict[bytes, list[Any]] = {
        database.TABLES: [(True,)],
        database.REVISION: [("0012",)],
        database.RIGHTS: [rights],
    }
    _, line = database.schema(answers.__getitem__, "0012")
    assert (line.status, words in line.says) == ("fail", True)


def test_a_redis_that_forgets_on_purpose_is_a_warning() -> None:
    eviction, _ = broker.memory({"maxmemory_policy": "allkeys-lru", "maxmemory": 1_000_000, "aof_enabled": 1})
    assert (eviction.status, "noeviction" in eviction.do) == ("warn", True)
    (unknown,) = broker.memory(None)
    assert unknown.status == "ok"


@pytest.mark.parametrize("problem", [RuntimeError("boom"), ConfigurationError("X is not set"), OSError()])
def test_a_check_that_breaks_is_a_line_and_no_traceback(problem: Exception) -> None:
    def look() -> Iterator[Check]:
        yield Check(name="first", status="ok", says="fine")
        raise problem

    first, last = looked_at("postgres", look)
    assert (first.status, last.status, last.name) == ("ok", "fail", "postgres")
