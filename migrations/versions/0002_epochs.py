"""Conversations that outlive their connection: the ordered item log, resume tokens, a job's place in it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
ALTER TABLE sessions
    ADD COLUMN resume_hash bytea,
    ADD COLUMN resume_seconds double precision,
    ADD COLUMN resume_until timestamptz,
    ADD COLUMN client_session jsonb,
    ADD CONSTRAINT ck_sessions_detached CHECK (state <> 'detached' OR resume_until IS NOT NULL);
CREATE UNIQUE INDEX ix_sessions_resume_hash ON sessions (resume_hash) WHERE resume_hash IS NOT NULL;
CREATE INDEX ix_sessions_detached ON sessions (resume_until) WHERE state = 'detached';

CREATE TABLE items (
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

ALTER TABLE jobs
    ADD COLUMN position bigint,
    ADD COLUMN item_id text,
    ADD COLUMN answer_position bigint,
    ADD COLUMN not_before timestamptz;
"""

# A rebuilt conversation that takes an answer in once more is a step of that answer, too.
CHRONICLE = """
DROP TRIGGER jobs_write_event ON jobs;
CREATE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery, OLD.delivered_epoch)
                       IS DISTINCT FROM (NEW.state, NEW.delivery, NEW.delivered_epoch))
    EXECUTE FUNCTION jobs_write_event();
"""

OLD_CHRONICLE = """
DROP TRIGGER jobs_write_event ON jobs;
CREATE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery) IS DISTINCT FROM (NEW.state, NEW.delivery))
    EXECUTE FUNCTION jobs_write_event();
"""


def upgrade() -> None:
    for statements in (TABLES, CHRONICLE):
        op.execute(statements)


def downgrade() -> None:
    op.execute(OLD_CHRONICLE)
    op.execute(
        "ALTER TABLE jobs DROP COLUMN position, DROP COLUMN item_id, DROP COLUMN answer_position, "
        "DROP COLUMN not_before"
    )
    op.execute("DROP TABLE items")
    op.execute("UPDATE sessions SET state = 'ended', ended_at = clock_timestamp() WHERE state = 'detached'")
    op.execute(
        "ALTER TABLE sessions DROP COLUMN resume_hash, DROP COLUMN resume_seconds, DROP COLUMN resume_until, "
        "DROP COLUMN client_session"
    )
