"""${message}"""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    change("table", "ALTER TABLE table …")


def downgrade() -> None:
    change("table", "ALTER TABLE table …")
