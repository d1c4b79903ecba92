"""A second wall between tenants: what the API reads it reads as a role that sees the rows of one tenant alone."""

from __future__ import annotations

from alembic import op
from sqlalchemy.exc import DBAPIError

from ringback.errors import ConfigurationError

revision = "0005"
down_revision = "0004"

ROLE = "ringback_tenant"
INSUFFICIENT_PRIVILEGE = "42501"

EVERY_TABLE = (
    *("processes", "worker_tools", "tool_gates", "sessions", "items", "jobs", "job_events", "responses"),
    *("tenants", "api_keys", "client_secrets", "signed_out", "usage_days"),
)

# What the API reads of each. Tokens, hashes and what is sealed are nobody's to read, and processes are the operator's.
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
    -- From 16 on a member need not be one that may take the role on: not even whoever has made it.
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


def upgrade() -> None:
    user = op.get_bind().exec_driver_sql("SELECT current_user").scalar_one()
    try:
        op.execute(ROLES)
    except DBAPIError as problem:
        if getattr(problem.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise ConfigurationError(NO_RIGHT.format(user=user)) from None
    for table in EVERY_TABLE:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY one_tenant ON {table} TO {ROLE} USING (tenant = current_setting('ringback.tenant', true))"
        )
    for table, columns in READABLE.items():
        op.execute(f"GRANT SELECT {f'({columns}) ' if columns else ''}ON {table} TO {ROLE}")


def downgrade() -> None:
    """The role stays: other databases of the server may use it."""
    for table in EVERY_TABLE:
        op.execute(f"REVOKE ALL ON {table} FROM {ROLE}")
        op.execute(f"DROP POLICY one_tenant ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
