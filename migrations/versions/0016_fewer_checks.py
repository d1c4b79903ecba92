"""What each call pays for is checked once: fewer CHECKs, and no foreign key where the row's owner is locked anyway."""

from __future__ import annotations

from ringback.postgres.revisions import add_checks, add_owner, change, run

revision = "0016"
down_revision = "0015"

CHECKS = {
    "jobs": {
        "state": """CASE
            WHEN finished_at IS NOT NULL
                THEN token IS NULL AND state = ANY ('{cancelled,dead,failed,succeeded,timed_out,unknown}')
            WHEN token IS NULL THEN state = 'pending' AND delivery = 'none'
            ELSE state = 'running' AND delivery = 'none' AND joined_to IS NULL
                AND approval IS DISTINCT FROM 'requested'
        END""",
        "delivery": """CASE
            WHEN delivered_epoch IS NULL THEN delivery = ANY ('{none,ready,history_only}')
            ELSE delivery = ANY ('{sent,acked,replayed,spoken,heard}')
        END""",
        "effect": "effect = ANY ('{pure,idempotent,at_most_once}')",
        "heard_by": "heard_by = ANY ('{report,truncate,clock,unknown}')",
        "approval": "approval = ANY ('{requested,granted,denied}')",
        "rerun_is_not_delivered": "rerun_of IS NULL OR delivery = ANY ('{none,history_only}')",
    },
    "sessions": {"state": "state = ANY ('{open,draining,detached,ended}')"},
    "items": {"role": "role = ANY ('{user,assistant,system}')"},
    "recordings": {
        "voice": "voice = ANY ('{caller,model}')",
        "codec": "codec = ANY ('{pcm,pcmu,pcma,lost}')",
    },
}
OLD_CHECKS = {
    "jobs": {
        "state": "state IN ('pending', 'running', 'succeeded', 'failed', 'timed_out', 'cancelled', 'dead', 'unknown')",
        "token_while_running": "(state = 'running') = (token IS NOT NULL)",
        "finished": "(state IN ('pending', 'running')) = (finished_at IS NULL)",
        "delivery_after_work": "state NOT IN ('pending', 'running') OR delivery = 'none'",
        "not_before_approval": "approval IS DISTINCT FROM 'requested' OR state <> 'running'",
        "joined_never_runs": "joined_to IS NULL OR state <> 'running'",
        "delivery": "delivery IN ('none', 'ready', 'sent', 'acked', 'replayed', 'spoken', 'heard', 'history_only')",
        "delivered_epoch": "(delivery IN ('sent', 'acked', 'replayed', 'spoken', 'heard')) "
        "= (delivered_epoch IS NOT NULL)",
        "effect": "effect IN ('pure', 'idempotent', 'at_most_once')",
        "heard_by": "heard_by IN ('report', 'truncate', 'clock', 'unknown')",
        "approval": "approval IN ('requested', 'granted', 'denied')",
        "rerun_is_not_delivered": "rerun_of IS NULL OR delivery IN ('none', 'history_only')",
    },
    "sessions": {"state": "state IN ('open', 'draining', 'detached', 'ended')"},
    "items": {"role": "role IN ('user', 'assistant', 'system')"},
    "recordings": {"voice": "voice IN ('caller', 'model')", "codec": "codec IN ('pcm', 'pcmu', 'pcma', 'lost')"},
}
MERGED = sorted(set(OLD_CHECKS["jobs"]) - set(CHECKS["jobs"]))

OWNED = {"items": "session_id", "moments": "session_id", "responses": "session_id", "job_events": "job_id"}

# Arrays, so that Postgres finds each by an index: it would take the deleted rows for many, and read the whole table.
DELETING = {
    "sessions": """
CREATE OR REPLACE FUNCTION sessions_delete_contents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gone uuid[] := ARRAY(SELECT id FROM deleted);
BEGIN
    DELETE FROM items WHERE session_id = ANY (gone);
    DELETE FROM moments WHERE session_id = ANY (gone);
    DELETE FROM responses WHERE session_id = ANY (gone);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER sessions_delete_contents AFTER DELETE ON sessions
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION sessions_delete_contents();
""",
    "jobs": """
CREATE OR REPLACE FUNCTION jobs_delete_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM job_events WHERE job_id = ANY (ARRAY(SELECT id FROM deleted));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_delete_events AFTER DELETE ON jobs
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION jobs_delete_events();
""",
}


def upgrade() -> None:
    for table, trigger in DELETING.items():
        change(table, trigger)
    for table, column in OWNED.items():
        change(table, f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS fk_{table}_{column}")
    _check(CHECKS)
    change("jobs", *(f"ALTER TABLE jobs DROP CONSTRAINT IF EXISTS ck_jobs_{name}" for name in MERGED))


def downgrade() -> None:
    _check(OLD_CHECKS)
    for table, column in OWNED.items():
        add_owner(table, column, "jobs" if table == "job_events" else "sessions")
    change("sessions", "DROP TRIGGER IF EXISTS sessions_delete_contents ON sessions")
    change("jobs", "DROP TRIGGER IF EXISTS jobs_delete_events ON jobs")
    run("DROP FUNCTION IF EXISTS sessions_delete_contents, jobs_delete_events")


def _check(rules: dict[str, dict[str, str]]) -> None:
    for table, conditions in rules.items():
        add_checks(table, {f"ck_{table}_{name}": condition for name, condition in conditions.items()})
