"""How many changes Postgres lets pass before it looks at a large table again, and before it vacuums it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.integration.statements.statement_rows import connected

ROWS = 10_000_000
OPTION = """
SELECT coalesce(
    (SELECT option_value FROM pg_class, pg_options_to_table(reloptions)
     WHERE relname = :table AND relkind = 'r' AND option_name = :option),
    current_setting(:option))
"""
FILL = """
SELECT option_value FROM pg_class, pg_options_to_table(reloptions)
WHERE relname = :table AND option_name = 'fillfactor'
"""
PROCESSES = """
INSERT INTO processes (id, kind, host, pid, lease_until)
SELECT 'p' || n, 'worker', 'here', 1, now() FROM generate_series(1, 100) AS n
"""
RENEW = "UPDATE processes SET lease_until = clock_timestamp() WHERE id = 'p7'"
WRITTEN = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'processes'"


def changes_until(database: str, table: str, work: str) -> float:
    with connected(database) as connection:
        share, least = (
            float(
                connection.execute(text(OPTION), {"table": table, "option": f"autovacuum_{work}_{what}"}).scalar_one()
            )
            for what in ("scale_factor", "threshold")
        )
    return least + share * ROWS


@pytest.mark.parametrize(
    ("table", "work", "changes"),
    [
        ("jobs", "analyze", 5_000),
        ("jobs", "vacuum", 105_000),
        ("sessions", "analyze", 1_000),
        ("sessions", "vacuum", 101_000),
        ("processes", "vacuum", 1_000),
        ("items", "analyze", 201_000),
        ("job_events", "vacuum", 201_000),
    ],
)
def test_a_large_table_is_looked_after_by_what_has_changed(database: str, table: str, work: str, changes: int) -> None:
    assert changes_until(database, table, work) <= changes


@pytest.mark.parametrize(("table", "percent"), [("sessions", 80), ("processes", 50)])
def test_rows_that_change_without_an_index_have_room_in_their_page(database: str, table: str, percent: int) -> None:
    with connected(database) as connection:
        assert int(connection.execute(text(FILL), {"table": table}).scalar_one()) == percent


def test_a_renewal_writes_no_index_entry(database: str) -> None:
    renewals = 200
    with connected(database) as connection:
        connection.execute(text(PROCESSES))
        connection.commit()
        for _ in range(renewals):
            connection.execute(text(RENEW))
            connection.commit()
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        connection.commit()
        updated, hot = connection.execute(text(WRITTEN)).one()
    assert updated >= renewals
    assert hot >= 0.95 * updated
