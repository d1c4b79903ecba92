"""Operators' acts: an audit log, controls of queues and tools, reruns; and a tool's one-line story of its call."""

from __future__ import annotations

from ringback.postgres.revisions import add_check, build_index, change, drop_index, run, write_rows

revision = "0012"
down_revision = "0011"

ROLE = "ringback_tenant"

AUDIT = """
CREATE TABLE IF NOT EXISTS audit (
    id bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL DEFAULT 'default',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    subject text NOT NULL,
    credential text NOT NULL,
    act text NOT NULL,
    target text NOT NULL DEFAULT '',
    filter jsonb,
    rows integer NOT NULL,
    reason text,
    CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_audit_tenant_id ON audit (tenant, id);
CREATE INDEX IF NOT EXISTS ix_audit_at ON audit (at);
"""
# An erased user's name goes; all else stays as it was written, for 400 days (`ringback.statements.audit`).
APPEND_ONLY = """
CREATE OR REPLACE FUNCTION audit_refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < clock_timestamp() - interval '400 days' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'act % is kept for 400 days', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.id, NEW.tenant, NEW.at, NEW.act, NEW.filter, NEW.rows, NEW.reason)
       IS DISTINCT FROM (OLD.id, OLD.tenant, OLD.at, OLD.act, OLD.filter, OLD.rows, OLD.reason)
       OR (NEW.subject, NEW.credential) NOT IN ((OLD.subject, OLD.credential), ('', ''))
       OR NEW.target NOT IN (OLD.target, '') THEN
        RAISE EXCEPTION 'act % is written', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER audit_refuse_changes BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_changes();
"""

CONTROLS = """
CREATE TABLE IF NOT EXISTS controls (
    tenant text NOT NULL DEFAULT 'default',
    kind text NOT NULL,
    name text NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    concurrency integer,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_controls PRIMARY KEY (tenant, kind, name),
    CONSTRAINT ck_controls_kind CHECK (kind IN ('queue', 'tool')),
    CONSTRAINT ck_controls_concurrency CHECK (concurrency > 0)
);
"""
# A worker holds a call while it has the lock of the control's row. So this, which follows the change of that row, sees
# each call that was held before, and none is held after.
WAKING = """
CREATE OR REPLACE FUNCTION controls_wake_calls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET not_before = clock_timestamp(), publish_after = clock_timestamp(), publish_count = 0
    WHERE id IN (
        SELECT id FROM jobs
        WHERE put_off AND finished_at IS NULL AND token IS NULL AND not_before > clock_timestamp()
          AND (NEW.kind = 'tool' AND tool = NEW.name OR NEW.kind = 'queue' AND queue = NEW.name)
        ORDER BY id FOR UPDATE
    );
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER controls_wake_calls AFTER UPDATE ON controls FOR EACH ROW
    WHEN (NOT NEW.paused AND (OLD.paused OR NEW.concurrency IS NULL OR NEW.concurrency > OLD.concurrency))
    EXECUTE FUNCTION controls_wake_calls();
"""

JOBS = """
ALTER TABLE jobs
    ADD COLUMN IF NOT EXISTS rerun_of uuid,
    ADD COLUMN IF NOT EXISTS summary text
"""
# Its name comes before those of the triggers that a result for the history sets off: they are called in that order.
RERUNS = """
CREATE OR REPLACE FUNCTION jobs_deliver_no_rerun() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.delivery := 'history_only';
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER jobs_deliver_no_rerun BEFORE UPDATE ON jobs
    FOR EACH ROW WHEN (NEW.rerun_of IS NOT NULL AND NEW.delivery = 'ready')
    EXECUTE FUNCTION jobs_deliver_no_rerun();
"""
NOTIFYING = """
CREATE OR REPLACE TRIGGER jobs_notify_webhook BEFORE UPDATE ON jobs
    FOR EACH ROW WHEN (NEW.delivery = 'history_only' AND OLD.delivery <> 'history_only'{but})
    EXECUTE FUNCTION jobs_notify_webhook()
"""
CHECK = "rerun_of IS NULL OR delivery IN ('none', 'history_only')"
INDEXES = {
    "ix_jobs_reruns": "jobs (rerun_of) WHERE rerun_of IS NOT NULL",
    "ix_jobs_running_in_queue": "jobs (queue) WHERE state = 'running'",
}
# The older code would deliver the result of one that is still to end.
LET_GO = """
UPDATE jobs SET state = 'cancelled', token = NULL, error = '{"code": "cancelled"}', finished_at = clock_timestamp(),
                delivery = 'history_only'
WHERE rerun_of IS NOT NULL AND finished_at IS NULL
"""


def upgrade() -> None:
    change("audit", AUDIT, APPEND_ONLY, *_wall("audit"), f"GRANT SELECT ON audit TO {ROLE}")
    change("controls", CONTROLS, WAKING, *_wall("controls"))
    change("jobs", JOBS, f"GRANT SELECT (rerun_of, summary) ON jobs TO {ROLE}")
    add_check("jobs", "ck_jobs_rerun_is_not_delivered", CHECK)
    for name, on in INDEXES.items():
        build_index(name, on)
    build_index("ix_jobs_live_rerun", "jobs (rerun_of) WHERE rerun_of IS NOT NULL AND finished_at IS NULL", unique=True)
    change("jobs", RERUNS, NOTIFYING.format(but=" AND NEW.rerun_of IS NULL"))


def downgrade() -> None:
    write_rows(LET_GO, needs=("jobs", "rerun_of"))
    drop_index(*INDEXES, "ix_jobs_live_rerun")
    change(
        "jobs",
        NOTIFYING.format(but=""),
        "DROP TRIGGER IF EXISTS jobs_deliver_no_rerun ON jobs",
        "ALTER TABLE jobs DROP COLUMN IF EXISTS rerun_of, DROP COLUMN IF EXISTS summary",
    )
    change("controls", "DROP TABLE IF EXISTS controls")
    change("audit", "DROP TABLE IF EXISTS audit")
    run("DROP FUNCTION IF EXISTS jobs_deliver_no_rerun, controls_wake_calls, audit_refuse_changes")


def _wall(table: str) -> list[str]:
    mine = "tenant = current_setting('ringback.tenant', true)"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS one_tenant ON {table}",
        f"CREATE POLICY one_tenant ON {table} TO {ROLE} USING ({mine})",
    ]
