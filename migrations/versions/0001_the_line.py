"""The line: processes, sessions, jobs, and every step a job took."""

from __future__ import annotations

from ringback.postgres.revisions import change, run

revision = "0001"
down_revision = None

PROCESSES = """
CREATE TABLE IF NOT EXISTS processes (
    id text NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    kind text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    queues jsonb NOT NULL DEFAULT '[]',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    steady_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    CONSTRAINT pk_processes PRIMARY KEY (id),
    CONSTRAINT ck_processes_kind CHECK (kind IN ('gateway', 'worker'))
);
"""

WORKER_TOOLS = """
CREATE TABLE IF NOT EXISTS worker_tools (
    worker_id text NOT NULL,
    name text NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    description text NOT NULL,
    parameters jsonb NOT NULL,
    queue text NOT NULL,
    timeout double precision NOT NULL,
    retries integer NOT NULL,
    effect text NOT NULL,
    say_after double precision,
    version text NOT NULL,
    CONSTRAINT pk_worker_tools PRIMARY KEY (worker_id, name),
    CONSTRAINT fk_worker_tools_worker_id FOREIGN KEY (worker_id) REFERENCES processes (id) ON DELETE CASCADE
);
"""

SESSIONS = """
CREATE TABLE IF NOT EXISTS sessions (
    id uuid NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    user_id text NOT NULL,
    agent text NOT NULL,
    model text,
    state text NOT NULL DEFAULT 'open',
    epoch bigint NOT NULL DEFAULT 1,
    gateway_id text,
    upstream_id text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    end_reason text,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT ck_sessions_state CHECK (state IN ('open', 'draining', 'detached', 'ended')),
    CONSTRAINT ck_sessions_ended CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS ix_sessions_gateway_id ON sessions (gateway_id) WHERE state IN ('open', 'draining');
CREATE INDEX IF NOT EXISTS ix_sessions_tenant_created_at_id ON sessions (tenant, created_at, id);
"""

JOBS = """
CREATE TABLE IF NOT EXISTS jobs (
    id uuid NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    session_id uuid NOT NULL,
    call_id text NOT NULL,
    response_id text,
    epoch bigint NOT NULL,
    tool text NOT NULL,
    queue text NOT NULL,
    arguments jsonb NOT NULL,
    effect text NOT NULL,
    timeout double precision NOT NULL,
    max_attempts integer NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    delivery text NOT NULL DEFAULT 'none',
    attempt integer NOT NULL DEFAULT 0,
    rescues integer NOT NULL DEFAULT 0,
    effect_started boolean NOT NULL DEFAULT false,
    token uuid,
    worker_id text,
    progress text,
    cancel_requested boolean NOT NULL DEFAULT false,
    result jsonb,
    error jsonb,
    delivered_epoch bigint,
    publish_after timestamptz NOT NULL,
    publish_count integer NOT NULL DEFAULT 0,
    deadline_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT fk_jobs_session_id FOREIGN KEY (session_id) REFERENCES sessions (id),
    CONSTRAINT uq_jobs_session_id_call_id UNIQUE (session_id, call_id),
    CONSTRAINT ck_jobs_state CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'timed_out',
                                              'cancelled', 'dead', 'unknown')),
    CONSTRAINT ck_jobs_delivery CHECK (delivery IN ('none', 'ready', 'sent', 'acked', 'replayed', 'history_only')),
    CONSTRAINT ck_jobs_effect CHECK (effect IN ('pure', 'idempotent', 'at_most_once')),
    CONSTRAINT ck_jobs_token_while_running CHECK ((state = 'running') = (token IS NOT NULL)),
    CONSTRAINT ck_jobs_finished CHECK ((state IN ('pending', 'running')) = (finished_at IS NULL)),
    CONSTRAINT ck_jobs_delivery_after_work CHECK (state NOT IN ('pending', 'running') OR delivery = 'none'),
    CONSTRAINT ck_jobs_delivered_epoch
        CHECK ((delivery IN ('sent', 'acked', 'replayed')) = (delivered_epoch IS NOT NULL)),
    CONSTRAINT ck_jobs_attempts CHECK (attempt <= max_attempts + rescues)
);
CREATE INDEX IF NOT EXISTS ix_jobs_to_publish ON jobs (publish_after) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS ix_jobs_running ON jobs (worker_id) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS ix_jobs_to_deliver ON jobs (session_id) WHERE delivery = 'ready';
CREATE INDEX IF NOT EXISTS ix_jobs_tenant_created_at_id ON jobs (tenant, created_at, id);
"""

JOB_EVENTS = """
CREATE TABLE IF NOT EXISTS job_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL DEFAULT 'default',
    job_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL,
    delivery text NOT NULL,
    attempt integer NOT NULL,
    worker_id text,
    epoch bigint,
    error jsonb,
    CONSTRAINT pk_job_events PRIMARY KEY (id),
    CONSTRAINT fk_job_events_job_id FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS ix_job_events_job_id ON job_events (job_id);
"""

# The moves of ringback/jobs/states.py as they stood at this revision; a test holds both against each other.
GUARD = """
CREATE OR REPLACE FUNCTION jobs_refuse_illegal_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'pending' AND NEW.state IN ('running', 'timed_out', 'cancelled'))
        OR (OLD.state = 'running' AND NEW.state IN ('pending', 'succeeded', 'failed', 'timed_out',
                                                    'cancelled', 'dead', 'unknown'))
    ) THEN
        RAISE EXCEPTION 'job % may not go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.delivery <> OLD.delivery AND NOT (
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
CREATE OR REPLACE TRIGGER jobs_refuse_illegal_moves BEFORE UPDATE ON jobs
    FOR EACH ROW EXECUTE FUNCTION jobs_refuse_illegal_moves();
"""

CHRONICLE = """
CREATE OR REPLACE FUNCTION jobs_write_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (tenant, job_id, state, delivery, attempt, worker_id, epoch, error)
    VALUES (NEW.tenant, NEW.id, NEW.state, NEW.delivery, NEW.attempt, NEW.worker_id, NEW.delivered_epoch, NEW.error);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_write_first_event AFTER INSERT ON jobs
    FOR EACH ROW EXECUTE FUNCTION jobs_write_event();
CREATE OR REPLACE TRIGGER jobs_write_event AFTER UPDATE ON jobs
    FOR EACH ROW WHEN ((OLD.state, OLD.delivery) IS DISTINCT FROM (NEW.state, NEW.delivery))
    EXECUTE FUNCTION jobs_write_event();
"""


def upgrade() -> None:
    change("processes", PROCESSES)
    change("worker_tools", WORKER_TOOLS)
    change("sessions", SESSIONS)
    change("jobs", JOBS, GUARD)
    change("job_events", JOB_EVENTS)
    change("jobs", CHRONICLE)


def downgrade() -> None:
    for table in ("job_events", "jobs", "sessions", "worker_tools", "processes"):
        change(table, f"DROP TABLE IF EXISTS {table}")
    run("DROP FUNCTION IF EXISTS jobs_write_event, jobs_refuse_illegal_moves")
