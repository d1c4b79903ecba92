"""Announcements of phone calls, each told once, and kept until its call has a session."""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = "0015"
down_revision = "0014"

RECEIPTS = """
CREATE TABLE IF NOT EXISTS webhook_receipts (
    id text NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    gateway_id text NOT NULL,
    call_id text NOT NULL,
    caller text NOT NULL,
    called text NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    settled text,
    CONSTRAINT pk_webhook_receipts PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_webhook_receipts_unsettled ON webhook_receipts (received_at) WHERE settled IS NULL;
"""

# The wall between tenants, as in 0005; no tenant's role is granted anything behind it.
WALL = (
    "ALTER TABLE webhook_receipts ENABLE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS one_tenant ON webhook_receipts",
    "CREATE POLICY one_tenant ON webhook_receipts TO ringback_tenant "
    "USING (tenant = current_setting('ringback.tenant', true))",
)


def upgrade() -> None:
    change("webhook_receipts", RECEIPTS, *WALL)


def downgrade() -> None:
    change("webhook_receipts", "DROP TABLE IF EXISTS webhook_receipts")
