"""The hot tables are analyzed and vacuumed by what has changed, not by a share of their size.

By default Postgres analyzes a table when a tenth of it has changed, and vacuums it when a fifth has. At 10^7 jobs that
is a million changes: until then the planner works with the numbers of last week, and dead rows stay in every index.
"""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = "0009"
down_revision = "0008"

# A row of `jobs` changes five times, each time with an entry in every index, as `state` and `delivery` stand in them.
# So room in its pages would serve no update. 5,000 changes are a thousand calls: the planner has seen a backlog before
# it matters, and ANALYZE reads 30,000 pages at most. A vacuum has some pages to do, however large the table.
CALLS = {
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "5000",
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "5000",
    "autovacuum_vacuum_insert_scale_factor": "0.01",
}
# Each response adds to `tokens` and `micros`, which no index holds: with room in the page that is no index entry.
SESSIONS = {
    "fillfactor": "80",
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "1000",
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
}
# A process changes its row up to three times a second, in no indexed column. With room in the page, each statement that
# visits it clears the dead rows. If a long reader held them back, a vacuum by count follows.
PROCESSES = {"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "1000"}
# Messages are written once or twice, and events once: what matters is that the pages are marked as all visible soon.
WRITTEN_ONCE = {
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_insert_scale_factor": "0.02",
}

SETTINGS = {
    "jobs": CALLS,
    "sessions": SESSIONS,
    "processes": PROCESSES,
    "items": WRITTEN_ONCE,
    "job_events": WRITTEN_ONCE,
    "responses": WRITTEN_ONCE,
}


def upgrade() -> None:
    for table, settings in SETTINGS.items():
        change(table, f"ALTER TABLE {table} SET ({', '.join(f'{name} = {value}' for name, value in settings.items())})")


def downgrade() -> None:
    for table, settings in SETTINGS.items():
        change(table, f"ALTER TABLE {table} RESET ({', '.join(settings)})")
