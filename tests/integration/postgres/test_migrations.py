"""The migrations and the tables in the code agree, in both directions, also if two processes migrate at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Table, inspect, text

from ringback.postgres import migrate
from ringback.tables import metadata
from tests.forked import ended, popen
from tests.integration.statements.statement_rows import connected
from tests.line import eventually
from tests.servers import own_database

OBJECTS = """
    SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
"""
# Alembic's own table of a database's revision.
ALEMBICS_OWN = {
    "relation alembic_version",
    "relation alembic_version_pkc",
    "type alembic_version",
    "type _alembic_version",
}


@pytest.fixture
def empty(database_url: str) -> Iterator[str]:
    """Yield an empty database."""
    with own_database(database_url, "ringback_empty") as url:
        yield url


def objects(database: str) -> set[str]:
    with connected(database) as connection:
        return {row[0] for row in connection.execute(text(OBJECTS))} - ALEMBICS_OWN


def revision(database: str) -> str | None:
    with connected(database) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    return ScriptDirectory(str(migrate.migrations_folder())).get_current_head()


def is_of_this_version(_object: Any, name: str | None, *_: Any) -> bool:
    """Return False for objects that exist only for the version before, which runs beside this one during a rollout."""
    return name != "say_after"


def test_an_upgrade_from_nothing_makes_the_tables_of_the_code(database: str) -> None:
    with connected(database) as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": is_of_this_version}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def definitions(database: str, query: str) -> dict[str, str]:
    with connected(database) as connection:
        return {row[0]: row[1] for row in connection.execute(text(query))}


# Alembic compares neither CHECKs nor the conditions of indexes: here Postgres tells both in its own words.
CHECKS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid IS DISTINCT FROM to_regclass('alembic_version')
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


@pytest.mark.parametrize("query", [CHECKS, INDEXES], ids=["constraints", "indexes"])
def test_constraints_and_indexes_are_those_of_the_code(database: str, empty: str, query: str) -> None:
    with connected(empty) as connection:
        metadata.create_all(connection)
        connection.commit()
    assert definitions(database, query) == definitions(empty, query)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_says_whose_its_rows_are(table: Table, database: str) -> None:
    with connected(database) as connection:
        columns = {column["name"]: column for column in inspect(connection).get_columns(table.name)}
    assert not columns["tenant"]["nullable"]


def test_every_check_has_a_name() -> None:
    checks = [each for table in metadata.tables.values() for each in table.constraints]
    assert all(each.name for each in checks if isinstance(each, CheckConstraint))


def test_a_downgrade_leaves_nothing(database: str) -> None:
    assert objects(database)
    migrate.downgrade(database)
    assert objects(database) == set()
    assert revision(database) is None


def test_up_and_down_and_up_again_comes_to_the_same(database: str) -> None:
    before = objects(database)
    migrate.downgrade(database)
    migrate.upgrade(database)
    assert objects(database) == before
    assert revision(database) == head()


def test_an_upgrade_of_an_upgraded_database_does_nothing(database: str) -> None:
    before = objects(database)
    migrate.upgrade(database)
    assert objects(database) == before


def test_several_who_upgrade_at_once_all_succeed(empty: str) -> None:
    # As processes, as in production: within one process, Alembic knows one migration at a time.
    argv = [
        sys.executable,
        "-c",
        "import sys; from ringback.postgres.migrate import upgrade; upgrade(sys.argv[1])",
        empty,
    ]
    with connected(empty) as gate, connected(empty) as watch:
        gate.execute(text("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"))
        gate.commit()
        gate.execute(text("LOCK TABLE alembic_version"))  # none sees the revision until all are there
        several = [popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
        watch = watch.execution_options(isolation_level="AUTOCOMMIT")
        there = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :us"
        )
        us = {"us": "ringback-migrate"}  # the process with the turn has two connections, a waiting one has one
        eventually(lambda: watch.execute(there, us).scalar_one() > len(several), "all upgrades are under way")
        gate.commit()
    assert [ended(each) for each in several] == [("", 0)] * len(several)
    assert revision(empty) == head()


def test_there_is_one_line_of_revisions() -> None:
    script = ScriptDirectory(str(migrate.migrations_folder()))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
