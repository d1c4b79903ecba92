"""What grows without end is found by an index: what is overdue, what waits the longest, and a page of the history.

And one process sweeps for all.
"""

from __future__ import annotations

from ringback.postgres.revisions import build_index, change, drop_index, run

revision = "0006"
down_revision = "0005"

INDEXES = {
    "ix_jobs_overdue": "jobs (deadline_at) WHERE state IN ('pending', 'running')",
    "ix_jobs_oldest_in_queue": "jobs (queue, created_at) WHERE token IS NULL AND finished_at IS NULL",
    "ix_jobs_in_line": "jobs (tool, created_at, id) WHERE put_off AND finished_at IS NULL",
    "ix_jobs_by_state": "jobs (tenant, state, created_at, id)",
    "ix_jobs_by_tool": "jobs (tenant, tool, state, created_at, id)",
    "ix_jobs_by_queue": "jobs (tenant, queue, state, created_at, id)",
    "ix_jobs_by_approval": "jobs (tenant, approval, created_at, id) WHERE approval IS NOT NULL",
    "ix_sessions_by_state": "sessions (tenant, state, created_at, id)",
    "ix_sessions_by_agent": "sessions (tenant, agent, state, created_at, id)",
}

OLD_INDEXES = {
    "ix_jobs_waiting_in_queue": "jobs (queue) WHERE state = 'pending'",
    "ix_jobs_put_off": "jobs (tool, created_at, id) WHERE state = 'pending' AND put_off",
}

# As in 0005 and 0003, and the joined calls are found by the one that they have joined: no condition of an index fits
# `state || ''`. Postgres had rather read an index of all that is pending, which it took for empty.
JOINING = """
CREATE OR REPLACE FUNCTION jobs_end_joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET state = NEW.state, result = NEW.result, error = NEW.error, cancel_reason = NEW.cancel_reason,
                    sealed_result = NEW.sealed_result, finished_at = NEW.finished_at, delivery = NEW.delivery
    WHERE joined_to = NEW.id AND {state} = 'pending';
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION jobs_move_joined_deadline() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET deadline_at = NEW.deadline_at + interval '5 seconds'
    WHERE joined_to = NEW.id AND {state} = 'pending';
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    change("processes", "ALTER TABLE processes ADD COLUMN IF NOT EXISTS swept_at timestamptz")
    for name, on in INDEXES.items():
        build_index(name, on)
    drop_index(*OLD_INDEXES)
    run(JOINING.format(state="state || ''"))


def downgrade() -> None:
    run(JOINING.format(state="state"))
    for name, on in OLD_INDEXES.items():
        build_index(name, on)
    drop_index(*INDEXES)
    change("processes", "ALTER TABLE processes DROP COLUMN IF EXISTS swept_at")
