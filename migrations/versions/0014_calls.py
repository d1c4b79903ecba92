"""Calls that go to the Realtime API itself, by WebRTC or SIP, with a gateway beside them."""

from __future__ import annotations

from ringback.postgres.revisions import build_index, change, drop_index

revision = "0014"
down_revision = "0013"

# Constant defaults: no row is written anew.
COLUMNS = (
    "ADD COLUMN IF NOT EXISTS transport text NOT NULL DEFAULT 'websocket', ADD COLUMN IF NOT EXISTS call_id text,"
    " ADD COLUMN IF NOT EXISTS item_secret text"
)
DROPPED = "DROP COLUMN IF EXISTS transport, DROP COLUMN IF EXISTS call_id, DROP COLUMN IF EXISTS item_secret"
LIVE_CALLS = "sessions (gateway_id) WHERE call_id IS NOT NULL AND state <> 'ended'"
ONE_SESSION = "sessions (call_id) WHERE call_id IS NOT NULL AND state <> 'ended'"


def upgrade() -> None:
    change(
        "sessions",
        f"ALTER TABLE sessions {COLUMNS}",
        "GRANT SELECT (transport, call_id) ON sessions TO ringback_tenant",
    )
    build_index("ix_sessions_live_calls", LIVE_CALLS)
    build_index("ix_sessions_one_of_a_call", ONE_SESSION, unique=True)


def downgrade() -> None:
    drop_index("ix_sessions_one_of_a_call", "ix_sessions_live_calls")
    change("sessions", f"ALTER TABLE sessions {DROPPED}")
