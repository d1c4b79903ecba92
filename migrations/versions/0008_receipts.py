"""Why an attempt failed; what was said twice, for a lost answer, counts once; what must not be lost is durable."""

from __future__ import annotations

from ringback.postgres.revisions import change, run

revision = "0008"
down_revision = "0007"

# A database, or a role, may have synchronous_commit off by default. What others were told, or what must not happen
# twice, waits for the disk all the same; a claim does not, as its token is random and a lost one is only made again.
DURABLE = """
CREATE OR REPLACE FUNCTION jobs_commit_durably() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    RETURN NULL;
END $$
"""
ADMISSIONS = """
CREATE OR REPLACE TRIGGER jobs_commit_durably AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION jobs_commit_durably()
"""
MOVES = """
CREATE OR REPLACE TRIGGER jobs_commit_moves_durably AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.finished_at IS DISTINCT FROM NEW.finished_at OR OLD.effect_started <> NEW.effect_started
          OR OLD.delivery <> NEW.delivery OR OLD.approval IS DISTINCT FROM NEW.approval
          OR OLD.cancel_requested <> NEW.cancel_requested)
    EXECUTE FUNCTION jobs_commit_durably()
"""


# A request that did not hear that it has spent a secret, or given it back, says so again.
VISITS = """
ALTER TABLE client_secrets ADD COLUMN IF NOT EXISTS spent_by uuid, ADD COLUMN IF NOT EXISTS given_back_by uuid
"""
NO_VISITS = """
ALTER TABLE client_secrets DROP COLUMN IF EXISTS spent_by, DROP COLUMN IF EXISTS given_back_by
"""


def upgrade() -> None:
    change("client_secrets", VISITS)
    run(DURABLE)
    # `ringback_tenant` may not read it: the role's rights on `jobs` are by column.
    change("jobs", "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS failure jsonb", ADMISSIONS, MOVES)


def downgrade() -> None:
    change(
        "jobs",
        "DROP TRIGGER IF EXISTS jobs_commit_durably ON jobs",
        "DROP TRIGGER IF EXISTS jobs_commit_moves_durably ON jobs",
        "ALTER TABLE jobs DROP COLUMN IF EXISTS failure",
    )
    run("DROP FUNCTION IF EXISTS jobs_commit_durably")
    change("client_secrets", NO_VISITS)
