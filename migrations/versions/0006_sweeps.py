"""One process sweeps for all, and finds what is overdue or waits the longest without reading the rest."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

LEASES = "ALTER TABLE processes ADD COLUMN IF NOT EXISTS swept_at timestamptz"
INDEXES = """
CREATE INDEX ix_jobs_overdue ON jobs (deadline_at) WHERE state IN ('pending', 'running');
CREATE INDEX ix_jobs_oldest_in_queue ON jobs (queue, created_at) WHERE state = 'pending';
DROP INDEX ix_jobs_waiting_in_queue;
"""
OLD_INDEXES = """
CREATE INDEX ix_jobs_waiting_in_queue ON jobs (queue) WHERE state = 'pending';
DROP INDEX ix_jobs_overdue, ix_jobs_oldest_in_queue;
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(LEASES)
    op.execute(INDEXES)


def downgrade() -> None:
    op.execute(OLD_INDEXES)
    op.execute("ALTER TABLE processes DROP COLUMN swept_at")
