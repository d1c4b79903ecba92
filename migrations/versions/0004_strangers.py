"""Who may come in, as whom, and how much they may use."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE tenants (
    tenant text NOT NULL DEFAULT 'default',
    allowances jsonb NOT NULL DEFAULT '{}',
    retention_days integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_tenants PRIMARY KEY (tenant),
    CONSTRAINT ck_tenants_retention CHECK (retention_days >= 0)
);

CREATE TABLE api_keys (
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
CREATE INDEX ix_api_keys_tenant_created_at_id ON api_keys (tenant, created_at, id);

CREATE TABLE client_secrets (
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
CREATE INDEX ix_client_secrets_over ON client_secrets (expires_at);
CREATE INDEX ix_client_secrets_tenant_user_id ON client_secrets (tenant, user_id);

CREATE TABLE signed_out (
    tenant text NOT NULL DEFAULT 'default',
    user_id text NOT NULL,
    before timestamptz NOT NULL,
    CONSTRAINT pk_signed_out PRIMARY KEY (tenant, user_id)
);

CREATE TABLE usage_days (
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
CREATE INDEX ix_usage_days_tenant_day ON usage_days (tenant, day);

ALTER TABLE sessions
    ADD COLUMN credential text NOT NULL DEFAULT '',
    ADD COLUMN policy text NOT NULL DEFAULT 'browser',
    ADD COLUMN end_wanted text,
    ADD COLUMN tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN micros bigint NOT NULL DEFAULT 0;
CREATE INDEX ix_sessions_live_of_user ON sessions (tenant, user_id) WHERE state <> 'ended';
CREATE INDEX ix_sessions_live_by_credential ON sessions (credential) WHERE state <> 'ended';

ALTER TABLE jobs
    ADD COLUMN sealed_arguments bytea,
    ADD COLUMN sealed_result bytea;

CREATE TABLE responses (
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
CREATE FUNCTION responses_sum_up() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER responses_sum_up AFTER INSERT ON responses FOR EACH ROW EXECUTE FUNCTION responses_sum_up();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(SUMS)


def downgrade() -> None:
    op.execute("DROP TABLE responses, usage_days, signed_out, client_secrets, api_keys, tenants")
    op.execute("DROP FUNCTION responses_sum_up")
    op.execute("DROP INDEX ix_sessions_live_of_user, ix_sessions_live_by_credential")
    op.execute(
        "ALTER TABLE sessions DROP COLUMN credential, DROP COLUMN policy, DROP COLUMN end_wanted, "
        "DROP COLUMN tokens, DROP COLUMN micros"
    )
    op.execute("ALTER TABLE jobs DROP COLUMN sealed_arguments, DROP COLUMN sealed_result")
