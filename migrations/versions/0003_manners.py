"""How a conversation behaves around its calls: joined calls, approvals, limits over all workers, webhooks."""

from __future__ import annotations

from ringback.postgres.revisions import add_check, build_index, change, drop_index, forbid_null, run, write_rows

revision = "0003"
down_revision = "0002"

LEASES = "ALTER TABLE processes ADD COLUMN IF NOT EXISTS slots integer NOT NULL DEFAULT 0"

# `say_after` stays: gateways and workers of the older version, which this one replaces one by one, name it.
WORKER_TOOLS = """
ALTER TABLE worker_tools
    ADD COLUMN IF NOT EXISTS manners jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS limits jsonb NOT NULL DEFAULT '{}';
"""
SAY_AFTER = """
UPDATE worker_tools SET manners = jsonb_build_object('say_after', say_after)
WHERE say_after IS NOT NULL AND manners ->> 'say_after' IS NULL
"""

SESSIONS = """
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS claims jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS has_webhook boolean NOT NULL DEFAULT false;
"""

JOBS = """
ALTER TABLE jobs
    ADD COLUMN IF NOT EXISTS manners jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS cancel_reason text,
    ADD COLUMN IF NOT EXISTS joined_to uuid,
    ADD COLUMN IF NOT EXISTS approval text,
    ADD COLUMN IF NOT EXISTS notify_after timestamptz,
    ADD COLUMN IF NOT EXISTS notify_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS notified_at timestamptz,
    ADD COLUMN IF NOT EXISTS put_off boolean NOT NULL DEFAULT false,
    ALTER COLUMN publish_after DROP NOT NULL;
"""
CHECKS = {
    "ck_jobs_approval": "approval IN ('requested', 'granted', 'denied')",
    "ck_jobs_not_before_approval": "approval IS DISTINCT FROM 'requested' OR state <> 'running'",
    "ck_jobs_joined_never_runs": "joined_to IS NULL OR state <> 'running'",
}
INDEXES = {
    "ix_jobs_running_of_tool": "jobs (tool) WHERE state = 'running'",
    "ix_jobs_waiting_in_queue": "jobs (queue) WHERE state = 'pending'",
    "ix_jobs_joined": "jobs (joined_to) WHERE joined_to IS NOT NULL",
    "ix_jobs_put_off": "jobs (tool, created_at, id) WHERE state = 'pending' AND put_off",
    "ix_jobs_to_notify": "jobs (notify_after) WHERE notify_after IS NOT NULL",
    "ix_jobs_ran_in_queue": "jobs (queue, finished_at) "
    "WHERE state IN ('succeeded', 'failed') AND started_at IS NOT NULL",
}

TOOL_GATES = """
CREATE TABLE IF NOT EXISTS tool_gates (
    tenant text NOT NULL DEFAULT 'default',
    tool text NOT NULL,
    tokens double precision NOT NULL DEFAULT 0,
    refilled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    failures integer NOT NULL DEFAULT 0,
    open_until timestamptz,
    probe_until timestamptz,
    CONSTRAINT pk_tool_gates PRIMARY KEY (tenant, tool)
);
"""

# As in 0001, and: a call that has joined another may end without having run.
GUARD = """
CREATE OR REPLACE FUNCTION jobs_refuse_illegal_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'pending' AND NEW.state IN ('running', 'timed_out', 'cancelled'))
        OR (OLD.state = 'pending' AND OLD.joined_to IS NOT NULL
            AND NEW.state IN ('succeeded', 'failed', 'dead', 'unknown'))
        OR (OLD.state = 'running' AND NEW.state IN ('pending', 'succeeded', 'failed', 'timed_out',
                                                    'cancelled', 'dead', 'unknown'))
    ) THEN
        RAISE EXCEPTION 'job % may not go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
{unchanged}"""

OLD_GUARD = """
CREATE OR REPLACE FUNCTION jobs_refuse_illegal_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'pending' AND NEW.state IN ('running', 'timed_out', 'cancelled'))
        OR (OLD.state = 'running' AND NEW.state IN ('pending', 'succeeded', 'failed', 'timed_out',
                                                    'cancelled', 'dead', 'unknown'))
    ) THEN
        RAISE EXCEPTION 'job % may not go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
{unchanged}"""

UNCHANGED = """    IF NEW.delivery <> OLD.delivery AND NOT (
        (OLD.delivery = 'none' AND NEW.delivery IN ('ready', 'history_only'))
        OR (OLD.delivery = 'ready' AND NEW.delivery IN ('sent', 'replayed', 'history_only'))
        OR (OLD.delivery = 'sent' AND NEW.delivery IN ('acked', 'replayed', 'history_only'))
        OR (OLD.delivery = 'acked' AND NEW.delivery = 'replayed')
    ) THEN
        RAISE EXCEPTION 'the answer of job % may not go from % to %', OLD.id, OLD.delivery, NEW.delivery
            USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.finished_at IS NOT NULL AND (NEW.result, NEW.error, NEW.finished_at)
                                       IS DISTINCT FROM (OLD.result, OLD.error, OLD.finished_at) THEN
        RAISE EXCEPTION 'the outcome of job % is written', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""

# The lock on the call that is joined keeps the two orders apart: it ends after this is there, or before, and is copied.
# Who joins one that has joined joins the first: a cancellation of the one between them ends no other.
JOINING = """
CREATE OR REPLACE FUNCTION jobs_join() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first jobs%ROWTYPE;
BEGIN
    SELECT coalesce(joined_to, id) INTO NEW.joined_to FROM jobs
    WHERE id = NEW.joined_to AND session_id = NEW.session_id;
    SELECT * INTO first FROM jobs WHERE id = NEW.joined_to FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % joins no job of its session', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    NEW.deadline_at := first.deadline_at + interval '5 seconds';
    IF first.finished_at IS NOT NULL THEN
        NEW.state := first.state;
        NEW.result := first.result;
        NEW.error := first.error;
        NEW.cancel_reason := first.cancel_reason;
        NEW.finished_at := clock_timestamp();
        NEW.delivery := 'ready';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER jobs_join BEFORE INSERT ON jobs
    FOR EACH ROW WHEN (NEW.joined_to IS NOT NULL) EXECUTE FUNCTION jobs_join();

CREATE OR REPLACE FUNCTION jobs_end_joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET state = NEW.state, result = NEW.result, error = NEW.error, cancel_reason = NEW.cancel_reason,
                    finished_at = NEW.finished_at, delivery = NEW.delivery
    WHERE joined_to = NEW.id AND state = 'pending';
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_end_joined AFTER UPDATE ON jobs
    FOR EACH ROW WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION jobs_end_joined();

CREATE OR REPLACE FUNCTION jobs_move_joined_deadline() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET deadline_at = NEW.deadline_at + interval '5 seconds' WHERE joined_to = NEW.id AND state = 'pending';
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_move_joined_deadline AFTER UPDATE OF deadline_at ON jobs
    FOR EACH ROW WHEN (OLD.deadline_at <> NEW.deadline_at) EXECUTE FUNCTION jobs_move_joined_deadline();
"""

# A yes moves neither state nor answer, and is a step all the same.
CHRONICLE = """
CREATE OR REPLACE FUNCTION jobs_write_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (tenant, job_id, state, delivery, attempt, worker_id, epoch, error, approval)
    VALUES (NEW.tenant, NEW.id, NEW.state, NEW.delivery, NEW.attempt, NEW.worker_id, NEW.delivered_epoch, NEW.error,
            NEW.approval);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery, OLD.delivered_epoch, OLD.approval)
                       IS DISTINCT FROM (NEW.state, NEW.delivery, NEW.delivered_epoch, NEW.approval))
    EXECUTE FUNCTION jobs_write_event();
"""

OLD_CHRONICLE = """
CREATE OR REPLACE FUNCTION jobs_write_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (tenant, job_id, state, delivery, attempt, worker_id, epoch, error)
    VALUES (NEW.tenant, NEW.id, NEW.state, NEW.delivery, NEW.attempt, NEW.worker_id, NEW.delivered_epoch, NEW.error);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery, OLD.delivered_epoch)
                       IS DISTINCT FROM (NEW.state, NEW.delivery, NEW.delivered_epoch))
    EXECUTE FUNCTION jobs_write_event();
"""

NOTIFYING = """
CREATE OR REPLACE FUNCTION jobs_notify_webhook() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM sessions WHERE id = NEW.session_id AND has_webhook) THEN
        NEW.notify_after := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER jobs_notify_webhook BEFORE UPDATE ON jobs
    FOR EACH ROW WHEN (NEW.delivery = 'history_only' AND OLD.delivery <> 'history_only')
    EXECUTE FUNCTION jobs_notify_webhook();
"""


TRIGGERS = ("jobs_notify_webhook", "jobs_move_joined_deadline", "jobs_end_joined", "jobs_join")

# The older code would run what waits for a yes, and what is answered by another call.
LET_GO = """
UPDATE jobs SET state = 'cancelled', error = '{"code": "cancelled"}', finished_at = clock_timestamp(),
                delivery = 'ready'
WHERE state = 'pending' AND (joined_to IS NOT NULL OR approval = 'requested')
"""
PUBLISHABLE = """
UPDATE jobs SET publish_after = deadline_at
WHERE id IN (SELECT id FROM jobs WHERE publish_after IS NULL LIMIT 1000)
"""
OLD_SAY_AFTER = """
UPDATE worker_tools SET say_after = (manners ->> 'say_after')::double precision
WHERE say_after IS DISTINCT FROM (manners ->> 'say_after')::double precision
"""


def upgrade() -> None:
    change("processes", LEASES)
    change("worker_tools", WORKER_TOOLS)
    write_rows(SAY_AFTER)
    change("sessions", SESSIONS)
    change("jobs", JOBS)
    for name, condition in CHECKS.items():
        add_check("jobs", name, condition)
    for name, on in INDEXES.items():
        build_index(name, on)
    change("job_events", "ALTER TABLE job_events ADD COLUMN IF NOT EXISTS approval text")
    change("tool_gates", TOOL_GATES)
    change("jobs", GUARD.format(unchanged=UNCHANGED), JOINING, CHRONICLE, NOTIFYING)


def downgrade() -> None:
    write_rows(OLD_SAY_AFTER, needs=("worker_tools", "manners"))
    write_rows(LET_GO, needs=("jobs", "joined_to"))
    write_rows(PUBLISHABLE)
    forbid_null("jobs", "publish_after")
    change(
        "jobs",
        OLD_CHRONICLE,
        OLD_GUARD.format(unchanged=UNCHANGED),
        *(f"DROP TRIGGER IF EXISTS {name} ON jobs" for name in TRIGGERS),
        "ALTER TABLE jobs DROP COLUMN IF EXISTS manners, DROP COLUMN IF EXISTS cancel_reason, "
        "DROP COLUMN IF EXISTS joined_to, DROP COLUMN IF EXISTS approval, DROP COLUMN IF EXISTS notify_after, "
        "DROP COLUMN IF EXISTS notify_count, DROP COLUMN IF EXISTS notified_at, DROP COLUMN IF EXISTS put_off",
    )
    run(f"DROP FUNCTION IF EXISTS {', '.join(TRIGGERS)}")
    change("tool_gates", "DROP TABLE IF EXISTS tool_gates")
    drop_index("ix_jobs_ran_in_queue", "ix_jobs_running_of_tool", "ix_jobs_waiting_in_queue")
    change("job_events", "ALTER TABLE job_events DROP COLUMN IF EXISTS approval")
    change("sessions", "ALTER TABLE sessions DROP COLUMN IF EXISTS claims, DROP COLUMN IF EXISTS has_webhook")
    change("worker_tools", "ALTER TABLE worker_tools DROP COLUMN IF EXISTS manners, DROP COLUMN IF EXISTS limits")
    change("processes", "ALTER TABLE processes DROP COLUMN IF EXISTS slots")
