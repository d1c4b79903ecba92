"""What of a result the user has heard, and the moments of a talk, for a timeline."""

from __future__ import annotations

from ringback.postgres.revisions import add_check, change, write_rows

revision = "0011"
down_revision = "0010"

HEARING = {
    "given_at": "timestamptz",
    "answer_began_at": "timestamptz",
    "answer_id": "text",
    "spoken_at": "timestamptz",
    "heard_at": "timestamptz",
    "heard_by": "text",
    "audio_ms": "double precision",
    "played_ms": "double precision",
}

OLD_CHECKS = {
    "ck_jobs_delivery": "delivery IN ('none', 'ready', 'sent', 'acked', 'replayed', 'history_only')",
    "ck_jobs_delivered_epoch": "(delivery IN ('sent', 'acked', 'replayed')) = (delivered_epoch IS NOT NULL)",
}
CHECKS = {
    "ck_jobs_delivery": "delivery IN ('none', 'ready', 'sent', 'acked', 'replayed', 'spoken', 'heard', 'history_only')",
    "ck_jobs_delivered_epoch": "(delivery IN ('sent', 'acked', 'replayed', 'spoken', 'heard')) "
    "= (delivered_epoch IS NOT NULL)",
    "ck_jobs_heard_by": "heard_by IN ('report', 'truncate', 'clock', 'unknown')",
    "ck_jobs_heard": "delivery <> 'heard' OR heard_at IS NOT NULL",
}

# As in 0010, with what follows `sent`. A gateway of the version before replays what was heard already.
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
    IF NEW.delivery <> OLD.delivery AND NOT (
        (OLD.delivery = 'none' AND NEW.delivery IN ('ready', 'history_only'))
        OR (OLD.delivery = 'ready' AND NEW.delivery IN ('sent', 'acked', 'replayed', 'history_only'))
        {after_sent}
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
OLD_AFTER_SENT = """OR (OLD.delivery = 'sent' AND NEW.delivery IN ('acked', 'replayed', 'history_only'))
        OR (OLD.delivery = 'acked' AND NEW.delivery = 'replayed')"""
AFTER_SENT = """OR (OLD.delivery = 'sent' AND NEW.delivery IN ('acked', 'replayed', 'spoken', 'heard', 'history_only'))
        OR (OLD.delivery IN ('acked', 'replayed', 'spoken') AND NEW.delivery IN ('replayed', 'spoken', 'heard'))
        OR (OLD.delivery = 'heard' AND NEW.delivery = 'replayed')"""

SEALS = """
CREATE OR REPLACE FUNCTION sessions_drop_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET sealed_arguments = NULL, sealed_result = NULL
    WHERE session_id = NEW.id AND (sealed_arguments IS NOT NULL OR sealed_result IS NOT NULL)
      AND delivery IN ({delivered});
    RETURN NULL;
END $$;
"""

MOMENTS = """
CREATE TABLE IF NOT EXISTS moments (
    session_id uuid NOT NULL,
    epoch bigint NOT NULL,
    number bigint NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    at timestamptz NOT NULL,
    kind text NOT NULL,
    response_id text,
    ms double precision,
    detail text,
    CONSTRAINT pk_moments PRIMARY KEY (session_id, epoch, number),
    CONSTRAINT fk_moments_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
)
"""
# The wall between tenants, as in 0005. A row is written once, as in 0009.
WALL = (
    "ALTER TABLE moments ENABLE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS one_tenant ON moments",
    "CREATE POLICY one_tenant ON moments TO ringback_tenant USING (tenant = current_setting('ringback.tenant', true))",
    "GRANT SELECT ON moments TO ringback_tenant",
    "ALTER TABLE moments SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.02)",
)

UNHEARD = """
UPDATE jobs SET delivery = 'replayed'
WHERE id IN (SELECT id FROM jobs WHERE delivery IN ('spoken', 'heard') LIMIT 1000)
"""


def upgrade() -> None:
    columns = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in HEARING.items())
    change("jobs", f"ALTER TABLE jobs {columns}", f"GRANT SELECT ({', '.join(HEARING)}) ON jobs TO ringback_tenant")
    for name, condition in CHECKS.items():
        add_check("jobs", name, condition)
    change("jobs", GUARD.format(after_sent=AFTER_SENT))
    change("sessions", SEALS.format(delivered="'sent', 'acked', 'replayed', 'spoken', 'heard'"))
    change("moments", MOMENTS, *WALL)


def downgrade() -> None:
    change("moments", "DROP TABLE IF EXISTS moments")
    change("sessions", SEALS.format(delivered="'sent', 'acked', 'replayed'"))
    write_rows(UNHEARD)
    change("jobs", GUARD.format(after_sent=OLD_AFTER_SENT))
    for name, condition in OLD_CHECKS.items():
        add_check("jobs", name, condition)
    columns = ", ".join(f"DROP COLUMN IF EXISTS {name}" for name in HEARING)
    change("jobs", f"ALTER TABLE jobs {columns}")
