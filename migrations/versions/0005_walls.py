"""A second wall between tenants: what the API reads it reads as a role that sees the rows of one tenant alone.

And what is sealed beside a row goes with the conversation that may ask for it.
"""

from __future__ import annotations

from psycopg.errors import InsufficientPrivilege

from ringback.errors import ConfigurationError
from ringback.postgres.revisions import build_index, change, current_user, drop_index, run

revision = "0005"
down_revision = "0004"

ROLE = "ringback_tenant"

EVERY_TABLE = (
    *("processes", "worker_tools", "tool_gates", "sessions", "items", "jobs", "job_events", "responses"),
    *("tenants", "api_keys", "client_secrets", "signed_out", "usage_days"),
)

# What the API reads of each. Tokens, hashes and what is sealed are for no reader, and processes are the operator's.
READABLE = {
    "sessions": "id, tenant, user_id, policy, end_wanted, tokens, micros, has_webhook, agent, model, state, epoch, "
    "gateway_id, upstream_id, created_at, ended_at, end_reason, resume_until",
    "jobs": "id, tenant, session_id, call_id, response_id, item_id, position, answer_position, epoch, tool, queue, "
    "arguments, effect, manners, timeout, max_attempts, state, delivery, attempt, rescues, effect_started, worker_id, "
    "progress, cancel_requested, cancel_reason, joined_to, approval, result, error, delivered_epoch, publish_after, "
    "not_before, put_off, publish_count, deadline_at, created_at, started_at, finished_at, notify_after, notify_count, "
    "notified_at",
    "job_events": None,
    "items": None,
    "responses": None,
    "usage_days": None,
    "tenants": None,
    "api_keys": "id, tenant, user_id, scopes, created_at, expires_at, revoked_at",
    "client_secrets": "id, tenant, key_id, minted_by, user_id, agent, uses_left, created_at, expires_at, revoked_at",
}

# Roles belong to the whole server: another database of it may have made this one, or be making it at this moment.
ROLES = """
DO $$
DECLARE
    may text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ringback_tenant') THEN
        BEGIN
            CREATE ROLE ringback_tenant NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    -- From 16 on a member need not be one that may take the role on: not even the one that has made it.
    may := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    IF NOT pg_has_role(current_user, 'ringback_tenant', may) THEN
        EXECUTE format('GRANT ringback_tenant TO %I', current_user);
    END IF;
    IF NOT has_schema_privilege('ringback_tenant', current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO ringback_tenant', current_schema());
    END IF;
END $$;
"""

NO_RIGHT = (
    f'this database user may not make the role "{ROLE}", which keeps tenants apart. Have an administrator of the '
    f'server run: CREATE ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO "{{user}}"; and migrate again'
)

# What is over is looked for by tenant, and a user's by name.
INDEXES = {
    "ix_sessions_over": "sessions (tenant, ended_at) WHERE state = 'ended'",
    "ix_sessions_erased": "sessions (tenant, user_id) WHERE end_wanted = 'erased'",
    "ix_sessions_tenant_user_id": "sessions (tenant, user_id)",
    "ix_jobs_sealed": "jobs (created_at) WHERE sealed_arguments IS NOT NULL OR sealed_result IS NOT NULL",
}

# An answer that no conversation can hear any more is for the history, which shows what may be shown.
JOBS_SEALS = """
CREATE OR REPLACE FUNCTION jobs_drop_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sealed_arguments := NULL;
    NEW.sealed_result := NULL;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER jobs_drop_sealed BEFORE UPDATE ON jobs
    FOR EACH ROW WHEN (NEW.delivery = 'history_only') EXECUTE FUNCTION jobs_drop_sealed();
"""
SESSIONS_SEALS = """
CREATE OR REPLACE FUNCTION sessions_drop_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET sealed_arguments = NULL, sealed_result = NULL
    WHERE session_id = NEW.id AND (sealed_arguments IS NOT NULL OR sealed_result IS NOT NULL)
      AND delivery IN ('sent', 'acked', 'replayed');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER sessions_drop_sealed AFTER UPDATE OF state ON sessions
    FOR EACH ROW WHEN (NEW.state = 'ended' AND OLD.state <> 'ended') EXECUTE FUNCTION sessions_drop_sealed();
"""

# As in 0003, and what is sealed is copied as well: it opens anywhere in its session.
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
{copied}        NEW.error := first.error;
        NEW.cancel_reason := first.cancel_reason;
        NEW.finished_at := clock_timestamp();
        NEW.delivery := 'ready';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION jobs_end_joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET state = NEW.state, result = NEW.result, error = NEW.error, cancel_reason = NEW.cancel_reason,
                    {passed_on}finished_at = NEW.finished_at, delivery = NEW.delivery
    WHERE joined_to = NEW.id AND state = 'pending';
    RETURN NULL;
END $$;
"""
SEALED = {
    "copied": "        NEW.sealed_result := first.sealed_result;\n",
    "passed_on": "sealed_result = NEW.sealed_result, ",
}


def upgrade() -> None:
    try:
        run(ROLES)
    except InsufficientPrivilege:
        raise ConfigurationError(NO_RIGHT.format(user=current_user())) from None
    for table in EVERY_TABLE:
        change(table, *_wall(table))
    for name, on in INDEXES.items():
        build_index(name, on)
    change("jobs", JOBS_SEALS, JOINING.format(**SEALED))
    change("sessions", SESSIONS_SEALS)


def downgrade() -> None:
    """The role stays: other databases of the server may use it."""
    change("jobs", JOINING.format(copied="", passed_on=""), "DROP TRIGGER IF EXISTS jobs_drop_sealed ON jobs")
    change("sessions", "DROP TRIGGER IF EXISTS sessions_drop_sealed ON sessions")
    run("DROP FUNCTION IF EXISTS jobs_drop_sealed, sessions_drop_sealed")
    drop_index(*INDEXES)
    for table in EVERY_TABLE:
        change(
            table,
            f"REVOKE ALL ON {table} FROM {ROLE}",
            f"DROP POLICY IF EXISTS one_tenant ON {table}",
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        )


def _wall(table: str) -> list[str]:
    mine = "tenant = current_setting('ringback.tenant', true)"
    steps = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS one_tenant ON {table}",
        f"CREATE POLICY one_tenant ON {table} TO {ROLE} USING ({mine})",
    ]
    if table in READABLE:
        columns = READABLE[table]
        steps.append(f"GRANT SELECT {f'({columns}) ' if columns else ''}ON {table} TO {ROLE}")
    return steps
