"""A gateway has a key, with which workers seal the results that go along with its doorbells."""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    change("processes", "ALTER TABLE processes ADD COLUMN IF NOT EXISTS doorbell_key bytea")


def downgrade() -> None:
    change("processes", "ALTER TABLE processes DROP COLUMN IF EXISTS doorbell_key")
