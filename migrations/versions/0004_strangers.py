"""Who may come in, as whom, and how much they may use."""

from __future__ import annotations

from ringback.postgres.revisions import build_index, change, drop_index, run

revision = "0004"
down_revision = "0003"

TENANTS = """
CREATE TABLE IF NOT EXISTS tenants (
    tenant text NOT NULL DEFAULT 'default',
    allowances jsonb NOT NULL DEFAULT '{}',
    retention_days integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_tenants PRIMARY KEY (tenant),
    CONSTRAINT ck_tenants_retention CHECK (retention_days >= 0)
);
"""

API_KEYS = """
CREATE TABLE IF NOT EXISTS api_keys (
    id uuid NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    user_id text NOT NULL,
    hash bytea NOT NULL,
    scopes jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT uq_api_keys_hash UNIQUE (hash)
);
CREATE INDEX IF NOT EXISTS ix_api_keys_tenant_created_at_id ON api_keys (tenant, created_at, id);
"""

CLIENT_SECRETS = """
CREATE TABLE IF NOT EXISTS client_secrets (
    id uuid NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    key_id uuid,
    minted_by text NOT NULL,
    user_id text NOT NULL,
    hash bytea NOT NULL,
    agent text,
    claims jsonb NOT NULL DEFAULT '{}',
    uses_left integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT pk_client_secrets PRIMARY KEY (id),
    CONSTRAINT uq_client_secrets_hash UNIQUE (hash),
    CONSTRAINT fk_client_secrets_key_id FOREIGN KEY (key_id) REFERENCES api_keys (id) ON DELETE CASCADE,
    CONSTRAINT ck_client_secrets_uses CHECK (uses_left >= 0)
);
CREATE INDEX IF NOT EXISTS ix_client_secrets_over ON client_secrets (expires_at);
CREATE INDEX IF NOT EXISTS ix_client_secrets_tenant_user_id ON client_secrets (tenant, user_id);
"""

SIGNED_OUT = """
CREATE TABLE IF NOT EXISTS signed_out (
    tenant text NOT NULL DEFAULT 'default',
    user_id text NOT NULL,
    before timestamptz NOT NULL,
    CONSTRAINT pk_signed_out PRIMARY KEY (tenant, user_id)
);
"""

USAGE_DAYS = """
CREATE TABLE IF NOT EXISTS usage_days (
    tenant text NOT NULL DEFAULT 'default',
    user_id text NOT NULL,
    day date NOT NULL,
    agent text NOT NULL,
    model text NOT NULL,
    responses bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    micros bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_usage_days PRIMARY KEY (tenant, user_id, day, agent, model)
);
CREATE INDEX IF NOT EXISTS ix_usage_days_tenant_day ON usage_days (tenant, day);
"""

SESSIONS = """
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS credential text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS policy text NOT NULL DEFAULT 'browser',
    ADD COLUMN IF NOT EXISTS end_wanted text,
    ADD COLUMN IF NOT EXISTS tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS micros bigint NOT NULL DEFAULT 0;
"""

JOBS = """
ALTER TABLE jobs
    ADD COLUMN IF NOT EXISTS sealed_arguments bytea,
    ADD COLUMN IF NOT EXISTS sealed_result bytea;
"""

RESPONSES = """
CREATE TABLE IF NOT EXISTS responses (
    session_id uuid NOT NULL,
    response_id text NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    user_id text NOT NULL,
    agent text NOT NULL,
    model text NOT NULL,
    epoch bigint NOT NULL,
    status text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    tokens jsonb NOT NULL,
    micros bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_responses PRIMARY KEY (session_id, response_id),
    CONSTRAINT fk_responses_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
"""

SUMS = """
CREATE OR REPLACE FUNCTION responses_sum_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET tokens = tokens + NEW.input_tokens + NEW.output_tokens,
                        micros = micros + coalesce(NEW.micros, 0)
    WHERE id = NEW.session_id;
    INSERT INTO usage_days (tenant, user_id, day, agent, model, responses, input_tokens, output_tokens, micros)
    VALUES (NEW.tenant, NEW.user_id, (NEW.created_at AT TIME ZONE 'UTC')::date, NEW.agent, NEW.model,
            1, NEW.input_tokens, NEW.output_tokens, coalesce(NEW.micros, 0))
    ON CONFLICT (tenant, user_id, day, agent, model) DO UPDATE SET
        responses = usage_days.responses + 1,
        input_tokens = usage_days.input_tokens + EXCLUDED.input_tokens,
        output_tokens = usage_days.output_tokens + EXCLUDED.output_tokens,
        micros = usage_days.micros + EXCLUDED.micros;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER responses_sum_up AFTER INSERT ON responses FOR EACH ROW EXECUTE FUNCTION responses_sum_up();
"""


def upgrade() -> None:
    change("tenants", TENANTS)
    change("api_keys", API_KEYS)
    change("client_secrets", CLIENT_SECRETS)
    change("signed_out", SIGNED_OUT)
    change("usage_days", USAGE_DAYS)
    change("sessions", SESSIONS)
    build_index("ix_sessions_live_of_user", "sessions (tenant, user_id) WHERE state <> 'ended'")
    build_index("ix_sessions_live_by_credential", "sessions (credential) WHERE state <> 'ended'")
    change("jobs", JOBS)
    change("responses", RESPONSES, SUMS)


def downgrade() -> None:
    for table in ("responses", "usage_days", "signed_out", "client_secrets", "api_keys", "tenants"):
        change(table, f"DROP TABLE IF EXISTS {table}")
    run("DROP FUNCTION IF EXISTS responses_sum_up")
    drop_index("ix_sessions_live_of_user", "ix_sessions_live_by_credential")
    change(
        "sessions",
        "ALTER TABLE sessions DROP COLUMN IF EXISTS credential, DROP COLUMN IF EXISTS policy, "
        "DROP COLUMN IF EXISTS end_wanted, DROP COLUMN IF EXISTS tokens, DROP COLUMN IF EXISTS micros",
    )
    change("jobs", "ALTER TABLE jobs DROP COLUMN IF EXISTS sealed_arguments, DROP COLUMN IF EXISTS sealed_result")
