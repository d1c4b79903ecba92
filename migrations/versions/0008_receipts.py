"""Why an attempt failed; what was said twice, for a lost answer, counts once; what must not be lost is durable."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0006"

# `ringback_tenant` may not read it: the role's rights on `jobs` are by column.
FAILURE = "ALTER TABLE jobs ADD COLUMN failure jsonb"

# A request that did not hear that it has spent a secret, or given it back, says so again.
VISITS = "ALTER TABLE client_secrets ADD COLUMN spent_by uuid, ADD COLUMN given_back_by uuid"

# A database, or a role, may have synchronous_commit off by default. What others were told, or what must not happen
# twice, waits for the disk all the same; a claim does not, as its token is random and a lost one is only made again.
DURABLE = """
CREATE FUNCTION jobs_commit_durably() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_commit_durably AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION jobs_commit_durably();
CREATE TRIGGER jobs_commit_moves_durably AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.finished_at IS DISTINCT FROM NEW.finished_at OR OLD.effect_started <> NEW.effect_started
          OR OLD.delivery <> NEW.delivery OR OLD.approval IS DISTINCT FROM NEW.approval
          OR OLD.cancel_requested <> NEW.cancel_requested)
    EXECUTE FUNCTION jobs_commit_durably();
"""


def upgrade() -> None:
    op.execute(FAILURE)
    op.execute(VISITS)
    op.execute(DURABLE)


def downgrade() -> None:
    op.execute("DROP TRIGGER jobs_commit_durably ON jobs; DROP TRIGGER jobs_commit_moves_durably ON jobs")
    op.execute("DROP FUNCTION jobs_commit_durably")
    op.execute("ALTER TABLE jobs DROP COLUMN failure")
    op.execute("ALTER TABLE client_secrets DROP COLUMN spent_by, DROP COLUMN given_back_by")
