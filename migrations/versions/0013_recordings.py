"""Both voices of a session, in pieces, for agents that have them recorded."""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = "0013"
down_revision = "0012"

RECORDINGS = """
CREATE TABLE IF NOT EXISTS recordings (
    session_id uuid NOT NULL,
    from_ms bigint NOT NULL,
    voice text NOT NULL,
    epoch bigint NOT NULL,
    tenant text NOT NULL DEFAULT 'default',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ms bigint NOT NULL,
    codec text NOT NULL,
    rate integer NOT NULL,
    audio bytea NOT NULL,
    loudness bytea NOT NULL,
    CONSTRAINT pk_recordings PRIMARY KEY (session_id, from_ms, voice, epoch),
    CONSTRAINT fk_recordings_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT ck_recordings_voice CHECK (voice IN ('caller', 'model')),
    CONSTRAINT ck_recordings_codec CHECK (codec IN ('pcm', 'pcmu', 'pcma', 'lost'))
);
CREATE INDEX IF NOT EXISTS ix_recordings_at ON recordings (at);
"""
# Voices do not compress as text does: Postgres need not try. The wall between tenants, as in 0005.
KEPT = (
    "ALTER TABLE recordings ALTER COLUMN audio SET STORAGE EXTERNAL",
    "ALTER TABLE recordings ENABLE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS one_tenant ON recordings",
    "CREATE POLICY one_tenant ON recordings TO ringback_tenant "
    "USING (tenant = current_setting('ringback.tenant', true))",
    "GRANT SELECT ON recordings TO ringback_tenant",
    "ALTER TABLE recordings SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.02)",
)


def upgrade() -> None:
    change("recordings", RECORDINGS, *KEPT)


def downgrade() -> None:
    change("recordings", "DROP TABLE IF EXISTS recordings")
