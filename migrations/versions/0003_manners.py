"""How a conversation behaves around its calls: joined calls, approvals, limits over all workers, webhooks."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

# By itself: a lease that cannot be renewed for as long as a large table takes would end every process there is.
LEASES = "ALTER TABLE processes ADD COLUMN IF NOT EXISTS slots integer NOT NULL DEFAULT 0"

# `say_after` stays: gateways and workers of the older version, which this one replaces one by one, name it.
TABLES = """
ALTER TABLE worker_tools
    ADD COLUMN manners jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN limits jsonb NOT NULL DEFAULT '{}';
UPDATE worker_tools SET manners = jsonb_build_object('say_after', say_after) WHERE say_after IS NOT NULL;

ALTER TABLE sessions
    ADD COLUMN claims jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN has_webhook boolean NOT NULL DEFAULT false;

ALTER TABLE jobs
    ADD COLUMN manners jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN cancel_reason text,
    ADD COLUMN joined_to uuid,
    ADD COLUMN approval text,
    ADD COLUMN notify_after timestamptz,
    ADD COLUMN notify_count integer NOT NULL DEFAULT 0,
    ADD COLUMN notified_at timestamptz,
    ADD COLUMN put_off boolean NOT NULL DEFAULT false,
    ALTER COLUMN publish_after DROP NOT NULL,
    ADD CONSTRAINT ck_jobs_approval CHECK (approval IN ('requested', 'granted', 'denied')),
    ADD CONSTRAINT ck_jobs_not_before_approval CHECK (approval IS DISTINCT FROM 'requested' OR state <> 'running'),
    ADD CONSTRAINT ck_jobs_joined_never_runs CHECK (joined_to IS NULL OR state <> 'running');
CREATE INDEX ix_jobs_running_of_tool ON jobs (tool) WHERE state = 'running';
CREATE INDEX ix_jobs_waiting_in_queue ON jobs (queue) WHERE state = 'pending';
CREATE INDEX ix_jobs_joined ON jobs (joined_to) WHERE joined_to IS NOT NULL;
CREATE INDEX ix_jobs_put_off ON jobs (tool, created_at, id) WHERE state = 'pending' AND put_off;
CREATE INDEX ix_jobs_to_notify ON jobs (notify_after) WHERE notify_after IS NOT NULL;
CREATE INDEX ix_jobs_ran_in_queue ON jobs (queue, finished_at)
    WHERE state IN ('succeeded', 'failed') AND started_at IS NOT NULL;
ALTER TABLE job_events ADD COLUMN approval text;

CREATE TABLE tool_gates (
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
# Who joins one that has joined joins the first: whoever cancels the one between them ends nobody else.
JOINING = """
CREATE FUNCTION jobs_join() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER jobs_join BEFORE INSERT ON jobs
    FOR EACH ROW WHEN (NEW.joined_to IS NOT NULL) EXECUTE FUNCTION jobs_join();

CREATE FUNCTION jobs_end_joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET state = NEW.state, result = NEW.result, error = NEW.error, cancel_reason = NEW.cancel_reason,
                    finished_at = NEW.finished_at, delivery = NEW.delivery
    WHERE joined_to = NEW.id AND state = 'pending';
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_end_joined AFTER UPDATE ON jobs
    FOR EACH ROW WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION jobs_end_joined();

CREATE FUNCTION jobs_move_joined_deadline() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET deadline_at = NEW.deadline_at + interval '5 seconds' WHERE joined_to = NEW.id AND state = 'pending';
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_move_joined_deadline AFTER UPDATE OF deadline_at ON jobs
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
DROP TRIGGER jobs_write_event ON jobs;
CREATE TRIGGER jobs_write_event AFTER UPDATE ON jobs
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
DROP TRIGGER jobs_write_event ON jobs;
CREATE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery, OLD.delivered_epoch)
                       IS DISTINCT FROM (NEW.state, NEW.delivery, NEW.delivered_epoch))
    EXECUTE FUNCTION jobs_write_event();
"""

NOTIFYING = """
CREATE FUNCTION jobs_notify_webhook() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM sessions WHERE id = NEW.session_id AND has_webhook) THEN
        NEW.notify_after := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER jobs_notify_webhook BEFORE UPDATE ON jobs
    FOR EACH ROW WHEN (NEW.delivery = 'history_only' AND OLD.delivery <> 'history_only')
    EXECUTE FUNCTION jobs_notify_webhook();
"""


# The older code would run what waits for a yes, and what is answered by another call.
LET_GO = """
UPDATE jobs SET state = 'cancelled', error = '{"code": "cancelled"}', finished_at = clock_timestamp(),
                delivery = 'ready'
WHERE state = 'pending' AND (joined_to IS NOT NULL OR approval = 'requested');
UPDATE jobs SET publish_after = deadline_at WHERE publish_after IS NULL;
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(LEASES)
    for statements in (TABLES, GUARD.format(unchanged=UNCHANGED), JOINING, CHRONICLE, NOTIFYING):
        op.execute(statements)


def downgrade() -> None:
    op.execute(LET_GO)
    op.execute("DROP TRIGGER jobs_notify_webhook ON jobs; DROP FUNCTION jobs_notify_webhook")
    op.execute(OLD_CHRONICLE)
    op.execute("DROP TRIGGER jobs_move_joined_deadline ON jobs")
    op.execute("DROP TRIGGER jobs_end_joined ON jobs; DROP TRIGGER jobs_join ON jobs")
    op.execute("DROP FUNCTION jobs_move_joined_deadline, jobs_end_joined, jobs_join")
    op.execute(OLD_GUARD.format(unchanged=UNCHANGED))
    op.execute("DROP TABLE tool_gates")
    op.execute(
        "ALTER TABLE jobs DROP COLUMN manners, DROP COLUMN cancel_reason, DROP COLUMN joined_to, DROP COLUMN approval, "
        "DROP COLUMN notify_after, DROP COLUMN notify_count, DROP COLUMN notified_at, DROP COLUMN put_off, "
        "ALTER COLUMN publish_after SET NOT NULL"
    )
    op.execute("DROP INDEX ix_jobs_ran_in_queue, ix_jobs_running_of_tool, ix_jobs_waiting_in_queue")
    op.execute("ALTER TABLE job_events DROP COLUMN approval")
    op.execute("ALTER TABLE sessions DROP COLUMN claims, DROP COLUMN has_webhook")
    op.execute("UPDATE worker_tools SET say_after = (manners ->> 'say_after')::double precision")
    op.execute("ALTER TABLE worker_tools DROP COLUMN manners, DROP COLUMN limits")
    op.execute("ALTER TABLE processes DROP COLUMN slots")
