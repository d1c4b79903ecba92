"""Tables of credentials, quotas, usage and operators' acts: who may come in, how much they may use, who did what."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ringback.tables.columns import metadata, tenant, tenant_key, time

tenants = Table(
    "tenants",
    metadata,
    # A tenant without a row has the gateways' own defaults.
    tenant_key(),
    # `ringback.agents.quotas.Quotas`, as JSON: the gateways' defaults fill what is left out.
    Column("allowances", JSONB, nullable=False, server_default="{}"),
    # For how many days ended sessions are kept; null: the gateways' default.
    Column("retention_days", Integer),
    time("created_at", now=True),
    CheckConstraint("retention_days >= 0", name="retention"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    tenant(),
    # The user that the key stands for, named in the history.
    Column("user_id", Text, nullable=False),
    # SHA-256 of the key; the key itself is shown once, when it is made.
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", JSONB, nullable=False),
    time("created_at", now=True),
    time("expires_at"),
    time("revoked_at"),
    Index(None, "tenant", "created_at", "id"),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    Column("id", Uuid, primary_key=True),
    tenant(),
    # The key that it was made with: if the key is revoked, so is the secret. Null: made with a token of the settings.
    Column("key_id", Uuid, ForeignKey("api_keys.id", ondelete="CASCADE")),
    # The credential that made it, as in `sessions.credential`.
    Column("minted_by", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    # The one agent that it opens; null: any.
    Column("agent", Text),
    Column("claims", JSONB, nullable=False, server_default="{}"),
    Column("uses_left", Integer, nullable=False),
    # The requests that took the last use, and returned the last one: each counts once, also if it is repeated.
    Column("spent_by", Uuid),
    Column("given_back_by", Uuid),
    time("created_at", now=True),
    time("expires_at", nullable=False),
    time("revoked_at"),
    CheckConstraint("uses_left >= 0", name="uses"),
    Index("ix_client_secrets_over", "expires_at"),
    Index(None, "tenant", "user_id"),
)

signed_out = Table(
    "signed_out",
    metadata,
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    # Every token issued to the user before this moment is revoked, by any issuer.
    time("before", nullable=False),
)

usage_days = Table(
    "usage_days",
    metadata,
    # Usage of one day (UTC), kept up by a trigger on `responses`.
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("responses", BigInteger, nullable=False, server_default="0"),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    # Millionths of a US dollar, by the gateways' price table.
    Column("micros", BigInteger, nullable=False, server_default="0"),
    Index(None, "tenant", "day"),
)

audit = Table(
    "audit",
    metadata,
    # One act of an operator. A trigger refuses to change a row, and to delete one that is younger than its time.
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    tenant(),
    time("at", now=True),
    # The user of the credential, and the credential as in `sessions.credential`; `cli:<user>@<host>` of a command line.
    Column("subject", Text, nullable=False),
    Column("credential", Text, nullable=False),
    # What was done, to what: `job.cancel`, and the id or name, or the filter that the rows matched.
    Column("act", Text, nullable=False),
    Column("target", Text, nullable=False, server_default=""),
    Column("filter", JSONB(none_as_null=True)),
    # How many rows the act changed.
    Column("rows", Integer, nullable=False),
    Column("reason", Text),
    Index(None, "tenant", "id"),
    Index(None, "at"),
)

webhook_receipts = Table(
    "webhook_receipts",
    metadata,
    # One announcement of a phone call, by its `webhook-id`. No tenant's role may read it: whose it is, its agent says.
    Column("id", Text, primary_key=True),
    tenant(),
    time("received_at", now=True),
    # The gateway that is to settle it; another takes it if that one is gone.
    Column("gateway_id", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    # What became of it: `attached`, `rejected`, or why it failed.
    Column("settled", Text),
    Index("ix_webhook_receipts_unsettled", "received_at", postgresql_where=text("settled IS NULL")),
)
