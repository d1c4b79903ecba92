"""A result may go from ready to acked at once: the gateway records both behind the send, in one statement."""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = "0010"
down_revision = "0009"

# As in 0003, but for what may follow `ready`.
GUARD = """
CREATE OR REPLACE FUNCTION jobs_refuse_illegal_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'pending' AND NEW.state IN ('running', 'timed_out', 'cancelled'))
        OR (OLD.state = 'pending' AND OLD.joined_to IS NOT NULL
            AND NEW.state IN ('succeeded', 'failed', 'dead', 'unknown'))
        OR (OLD.state = 'running' AND NEW.state IN ('pending', 'succeeded', 'failed', 'timed_out',
                                                    'cancelled', 'dead', 'unknown'))
    ) THEN
        RAISE EXCEPTION 'job % may not go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.delivery <> OLD.delivery AND NOT (
        (OLD.delivery = 'none' AND NEW.delivery IN ('ready', 'history_only'))
        OR (OLD.delivery = 'ready' AND NEW.delivery IN ({after_ready}))
        OR (OLD.delivery = 'sent' AND NEW.delivery IN ('acked', 'replayed', 'history_only'))
        OR (OLD.delivery = 'acked' AND NEW.delivery = 'replayed')
    ) THEN
        RAISE EXCEPTION 'the answer of job % may not go from % to %', OLD.id, OLD.delivery, NEW.delivery
            USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.finished_at IS NOT NULL AND (NEW.result, NEW.error, NEW.finished_at)
                                       IS DISTINCT FROM (OLD.result, OLD.error, OLD.finished_at) THEN
        RAISE EXCEPTION 'the outcome of job % is written', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
BEFORE, AFTER = "'sent', 'replayed', 'history_only'", "'sent', 'acked', 'replayed', 'history_only'"


def upgrade() -> None:
    change("jobs", GUARD.format(after_ready=AFTER))


def downgrade() -> None:
    change("jobs", GUARD.format(after_ready=BEFORE))
