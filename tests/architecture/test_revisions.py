"""No revision holds a large table up: all it does it does by the steps of `ringback.postgres.revisions`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from ringback.postgres import revisions as revising
from ringback.postgres.migrate import migrations_folder

STEPS = (
    "change",
    "build_index",
    "drop_index",
    "add_check",
    "add_checks",
    "add_owner",
    "forbid_null",
    "write_rows",
    "run",
)
SMALL = {"processes", "worker_tools", "tool_gates", "tenants", "api_keys", "client_secrets", "signed_out"}
"""Tables that hold little whatever is going on: they may be written anew."""

NAMES_ITS_TABLE = re.compile(
    r"\b(?:ALTER TABLE|DROP TABLE IF EXISTS|DROP TABLE|CREATE TABLE IF NOT EXISTS|CREATE TABLE|LOCK TABLE|TRUNCATE"
    r"|(?:AFTER|BEFORE) (?:INSERT|UPDATE|DELETE)(?: OF \w+)? ON|(?:TRIGGER|POLICY)(?: IF EXISTS)? \w+ ON) (\w+)"
)
TOO_LONG = {
    r"\bCREATE (UNIQUE )?INDEX\b": "an index is built by build_index",
    r"\bDROP INDEX\b": "an index is dropped by drop_index",
    r"\bVALIDATE CONSTRAINT\b": "a CHECK is added by add_check",
    r"\bADD CONSTRAINT\b": "a CHECK is added by add_check",
    r"\bSET NOT NULL\b": "a column is closed to NULL by forbid_null",
    r"\bTYPE\b": "another type writes the whole table anew: add a column, and fill it with write_rows",
    r"\bADD COLUMN [^,;]*\b(clock_timestamp|gen_random_uuid|random)\b": "such a default writes the whole table anew",
    r"\bADD COLUMN [^,;]*\b(REFERENCES|UNIQUE|PRIMARY KEY|GENERATED)\b": "such a column reads the whole table",
    r"(^|;)\s*(UPDATE|DELETE FROM|INSERT INTO)\b": "rows are written by write_rows",
}
NOT_REPEATABLE = re.compile(
    r"\b(CREATE TABLE (?!IF)|ADD COLUMN (?!IF)|CREATE INDEX (?!IF)|CREATE (FUNCTION|TRIGGER)"
    r"|DROP (TABLE|INDEX|FUNCTION|TRIGGER|COLUMN|CONSTRAINT|POLICY) (?!IF))"
)

Step = tuple[str, tuple[Any, ...]]


def revisions() -> list[Any]:
    return list(ScriptDirectory(str(migrations_folder())).walk_revisions())


def steps_of(module: ModuleType, move: str) -> list[Step]:
    """What a revision would do, in order; nothing is done."""
    done: list[Step] = []

    def noted(name: str) -> Callable[..., None]:
        return lambda *given, **_: done.append((name, given))

    kept = {name: getattr(module, name) for name in STEPS if hasattr(module, name)}
    try:
        for name in kept:
            setattr(module, name, noted(name))
        getattr(module, move)()
    finally:
        for name, step in kept.items():
            setattr(module, name, step)
    return done


def outside_functions(statement: str) -> str:
    """Without the bodies of functions, which are run later."""
    return re.sub(r"\$\$.*?\$\$", "", statement, flags=re.DOTALL)


def faults(steps: list[Step]) -> Iterator[str]:
    """What in these steps would hold a table up, or could not be repeated."""
    new: set[str] = set()
    for name, given in steps:
        if name == "change":
            table, *statements = given
            text = ";".join(outside_functions(each) for each in statements)
            yield from (
                f"change({table}): {other} is another table"
                for other in NAMES_ITS_TABLE.findall(text)
                if other != table
            )
            new |= set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", text))
            if table not in new | SMALL:
                found = [why for sign, why in TOO_LONG.items() if re.search(sign, text, re.MULTILINE)]
                yield from (f"change({table}): {why}" for why in found)
            yield from (f"change({table}): cannot be repeated: {each[0]}" for each in NOT_REPEATABLE.findall(text))
        if name == "run" and NAMES_ITS_TABLE.search(outside_functions(given[0])):
            yield f"run: what concerns a table is done by change: {given[0]}"


@pytest.mark.parametrize("move", ["upgrade", "downgrade"])
@pytest.mark.parametrize("script", revisions(), ids=lambda script: script.revision)
def test_no_step_of_a_revision_holds_a_large_table_up(script: Any, move: str) -> None:
    steps = steps_of(script.module, move)
    assert steps
    assert list(faults(steps)) == []


@pytest.mark.parametrize("script", revisions(), ids=lambda script: script.revision)
def test_a_revision_reaches_the_database_by_those_steps_alone(script: Any) -> None:
    assert "alembic" not in Path(script.path).read_text()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX IF NOT EXISTS ix ON jobs (tool)",
        "ALTER TABLE jobs ADD CONSTRAINT ck_jobs_x CHECK (attempt > 0)",
        "ALTER TABLE jobs ALTER COLUMN tool SET NOT NULL",
        "ALTER TABLE jobs ALTER COLUMN arguments TYPE json",
        "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS at timestamptz DEFAULT clock_timestamp()",
        "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS first uuid REFERENCES jobs (id)",
        "ALTER TABLE jobs ADD COLUMN again text",
        "ALTER TABLE sessions ADD COLUMN IF NOT EXISTS x text",
        "UPDATE jobs SET tool = 'x'",
        "DROP INDEX IF EXISTS ix",
        "CREATE TRIGGER x AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION x()",
    ],
)
def test_what_would_hold_a_large_table_up_is_found(statement: str) -> None:
    assert list(faults([("change", ("jobs", statement))]))


def test_what_takes_an_instant_is_not_minded() -> None:
    added = "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS note text, ADD COLUMN IF NOT EXISTS n integer NOT NULL DEFAULT 0"
    assert not list(faults([("change", ("jobs", added)), ("build_index", ("ix", "jobs (note)"))]))
    assert not list(faults([("change", ("processes", "ALTER TABLE processes ALTER COLUMN host TYPE varchar"))]))


def test_every_step_there_is_is_looked_at() -> None:
    assert all(callable(getattr(revising, name)) for name in STEPS)
