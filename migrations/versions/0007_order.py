"""Schemas, arguments, results and clients' settings as they were written: jsonb sorts the names in an object by length.

Beside each jsonb column stands one of json, which keeps the text. Rows of before stay as they are: their order is lost.
No column changes its type and no table is rewritten (docs/decisions/0037-order-is-kept-beside-the-value.md).
"""

from __future__ import annotations

from ringback.postgres.revisions import change, run

revision = "0007"
down_revision = "0006"

COLUMNS = {
    "worker_tools": ("parameters_in_order",),
    "jobs": ("arguments_in_order", "result_in_order"),
    "sessions": ("client_session_in_order",),
}
READABLE = "GRANT SELECT (arguments_in_order, result_in_order) ON jobs TO ringback_tenant"

# As in 0005, and the text of the result is copied as well.
JOINING = """
CREATE OR REPLACE FUNCTION jobs_join() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first jobs%ROWTYPE;
BEGIN
    SELECT coalesce(joined_to, id) INTO NEW.joined_to FROM jobs
    WHERE id = NEW.joined_to AND session_id = NEW.session_id;
    SELECT * INTO first FROM jobs WHERE id = NEW.joined_to FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % joins no job of its session', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    NEW.deadline_at := first.deadline_at + interval '5 seconds';
    IF first.finished_at IS NOT NULL THEN
        NEW.state := first.state;
        NEW.result := first.result;
{copied}        NEW.sealed_result := first.sealed_result;
        NEW.error := first.error;
        NEW.cancel_reason := first.cancel_reason;
        NEW.finished_at := clock_timestamp();
        NEW.delivery := 'ready';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION jobs_end_joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET state = NEW.state, result = NEW.result, error = NEW.error, cancel_reason = NEW.cancel_reason,
                    {passed_on}sealed_result = NEW.sealed_result, finished_at = NEW.finished_at,
                    delivery = NEW.delivery
    WHERE joined_to = NEW.id AND state || '' = 'pending';
    RETURN NULL;
END $$;
"""
IN_ORDER = {
    "copied": "        NEW.result_in_order := first.result_in_order;\n",
    "passed_on": "result_in_order = NEW.result_in_order, ",
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        added = ", ".join(f"ADD COLUMN IF NOT EXISTS {column} json" for column in columns)
        change(table, f"ALTER TABLE {table} {added}")
    change("jobs", READABLE)
    run(JOINING.format(**IN_ORDER))


def downgrade() -> None:
    run(JOINING.format(copied="", passed_on=""))
    for table, columns in COLUMNS.items():
        dropped = ", ".join(f"DROP COLUMN IF EXISTS {column}" for column in columns)
        change(table, f"ALTER TABLE {table} {dropped}")
