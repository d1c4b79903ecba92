"""Conversations that outlive their connection: the ordered item log, resume tokens, a job's place in it."""

from __future__ import annotations

from ringback.postgres.revisions import add_check, build_index, change, write_rows

revision = "0002"
down_revision = "0001"

SESSIONS = """
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS resume_hash bytea,
    ADD COLUMN IF NOT EXISTS resume_seconds double precision,
    ADD COLUMN IF NOT EXISTS resume_until timestamptz,
    ADD COLUMN IF NOT EXISTS client_session jsonb;
"""

ITEMS = """
CREATE TABLE IF NOT EXISTS items (
    session_id uuid NOT NULL,
    position bigint NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    item_id text NOT NULL,
    role text NOT NULL,
    content jsonb NOT NULL,
    epoch bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz,
    CONSTRAINT pk_items PRIMARY KEY (session_id, position),
    CONSTRAINT fk_items_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT uq_items_session_id_item_id UNIQUE (session_id, item_id),
    CONSTRAINT ck_items_role CHECK (role IN ('user', 'assistant', 'system'))
);
"""

JOBS = """
ALTER TABLE jobs
    ADD COLUMN IF NOT EXISTS position bigint,
    ADD COLUMN IF NOT EXISTS item_id text,
    ADD COLUMN IF NOT EXISTS answer_position bigint,
    ADD COLUMN IF NOT EXISTS not_before timestamptz;
"""

# A rebuilt conversation that takes an answer in once more is a step of that answer, too.
CHRONICLE = """
CREATE OR REPLACE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery, OLD.delivered_epoch)
                       IS DISTINCT FROM (NEW.state, NEW.delivery, NEW.delivered_epoch))
    EXECUTE FUNCTION jobs_write_event();
"""

OLD_CHRONICLE = """
CREATE OR REPLACE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery) IS DISTINCT FROM (NEW.state, NEW.delivery))
    EXECUTE FUNCTION jobs_write_event();
"""


RESUMABLE = "sessions (resume_hash) WHERE resume_hash IS NOT NULL"


def upgrade() -> None:
    change("sessions", SESSIONS)
    add_check("sessions", "ck_sessions_detached", "state <> 'detached' OR resume_until IS NOT NULL")
    build_index("ix_sessions_resume_hash", RESUMABLE, unique=True)
    build_index("ix_sessions_detached", "sessions (resume_until) WHERE state = 'detached'")
    change("items", ITEMS)
    change("jobs", JOBS, CHRONICLE)


def downgrade() -> None:
    change(
        "jobs",
        OLD_CHRONICLE,
        "ALTER TABLE jobs DROP COLUMN IF EXISTS position, DROP COLUMN IF EXISTS item_id, "
        "DROP COLUMN IF EXISTS answer_position, DROP COLUMN IF EXISTS not_before",
    )
    change("items", "DROP TABLE IF EXISTS items")
    write_rows("UPDATE sessions SET state = 'ended', ended_at = clock_timestamp() WHERE state = 'detached'")
    change(
        "sessions",
        "ALTER TABLE sessions DROP COLUMN IF EXISTS resume_hash, DROP COLUMN IF EXISTS resume_seconds, "
        "DROP COLUMN IF EXISTS resume_until, DROP COLUMN IF EXISTS client_session",
    )
