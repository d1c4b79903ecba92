"""One process sweeps for all, and finds what is overdue or waits the longest without reading the rest."""

from __future__ import annotations

from ringback.revising import build_index, change, drop_index

revision = "0006"
down_revision = "0005"

INDEXES = {
    "ix_jobs_overdue": "jobs (deadline_at) WHERE state IN ('pending', 'running')",
    "ix_jobs_oldest_in_queue": "jobs (queue, created_at) WHERE state = 'pending'",
}


def upgrade() -> None:
    change("processes", "ALTER TABLE processes ADD COLUMN IF NOT EXISTS swept_at timestamptz")
    for name, on in INDEXES.items():
        build_index(name, on)
    drop_index("ix_jobs_waiting_in_queue")


def downgrade() -> None:
    build_index("ix_jobs_waiting_in_queue", "jobs (queue) WHERE state = 'pending'")
    drop_index(*INDEXES)
    change("processes", "ALTER TABLE processes DROP COLUMN IF EXISTS swept_at")
