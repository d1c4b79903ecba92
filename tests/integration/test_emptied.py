"""What a test is given in the place of a copy is as a copy would be, whatever the test before has done."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.emptied import ROOM_BYTES, Emptied, sizes
from tests.servers import in_dialect

SESSION = "INSERT INTO sessions (id, user_id, agent, model) SELECT gen_random_uuid(), 'ada', 'demo', repeat('m', 100)"
ALTERATIONS = [
    "ALTER TABLE jobs ADD extra int",
    "DROP TABLE items CASCADE",
    "ALTER TABLE items RENAME TO away",
    "ALTER TABLE jobs DISABLE TRIGGER USER; ALTER TABLE jobs ENABLE TRIGGER USER",
    "CREATE SCHEMA moved",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE jobs ALTER COLUMN id SET DEFAULT gen_random_uuid()",
    "UPDATE alembic_version SET version_num = 'x'",
    f"{SESSION} FROM generate_series(1, 9); ANALYZE sessions",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
]


@pytest.fixture(scope="module")
def emptied(database_url: str, migrated_template: str) -> Iterator[Emptied]:
    emptied = Emptied(database_url, migrated_template)
    yield emptied
    emptied.drop()


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(in_dialect(url, "postgresql"), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def rows(url: str) -> dict[str, int]:
    with psycopg.connect(in_dialect(url, "postgresql")) as connection:
        count = sql.SQL("SELECT count(*) FROM {}")
        counts = {name: connection.execute(count.format(sql.Identifier(name))).fetchone() for name in sizes(connection)}
    return {name: row[0] for name, row in counts.items() if row}


@pytest.mark.parametrize("number", [3, 4_000])
def test_it_has_no_rows_and_its_sequences_begin_anew(emptied: Emptied, number: int) -> None:
    with emptied.lent() as url:
        before = sum(rows(url).values())
        ask(url, f"{SESSION} FROM generate_series(1, {number})")
        ask(url, "SELECT nextval('job_events_id_seq')")
        assert rows(url)["sessions"] == number
    with emptied.lent() as again:
        assert again == url
        assert (before, sum(rows(again).values())) == (0, 0)
        assert ask(again, "SELECT nextval('job_events_id_seq')") == [(1,)]
        with psycopg.connect(in_dialect(again, "postgresql")) as connection:
            assert sum(sizes(connection).values()) < 600_000 + ROOM_BYTES


def test_who_is_still_connected_is_sent_away(emptied: Emptied) -> None:
    with emptied.lent() as url:
        left = psycopg.connect(in_dialect(url, "postgresql"))
        left.execute("LOCK jobs")
    with emptied.lent() as again:
        assert again == url
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
        left.close()


def test_a_test_that_sends_everybody_away_sends_nothing_else_away(emptied: Emptied) -> None:
    with emptied.lent() as url:
        ask(url, f"{SESSION} FROM generate_series(1, 3)")
        ask(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with emptied.lent() as again:
        assert (again, rows(again)["sessions"]) == (url, 0)


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_after_a_test_that_has_altered_more_than_rows_there_is_another(emptied: Emptied, alteration: str) -> None:
    with emptied.lent() as url:
        ask(url, alteration)
    with emptied.lent() as other:
        assert other != url
        assert ask(other, "SELECT count(*) FROM items") == [(0,)]


def test_after_a_test_that_has_dropped_it_there_is_another(emptied: Emptied, database_url: str) -> None:
    with emptied.lent() as url:
        name = url.rpartition("/")[2].partition("?")[0]
        ask(database_url, f"DROP DATABASE {name} WITH (FORCE)")
    with emptied.lent() as other:
        assert ask(other, "SELECT count(*) FROM items") == [(0,)]
