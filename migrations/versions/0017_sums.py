"""What responses used is summed up once for a statement, and not for each row."""

from __future__ import annotations

from ringback.postgres.revisions import change

revision = "0017"
down_revision = "0016"

# As in 0004, once for all responses of a statement. In an order, so that two gateways that write at once wait for each
# other in turn: the sessions as in `lifecycle.held`, then the days.
SUMS = """
CREATE OR REPLACE FUNCTION responses_sum_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    used record;
BEGIN
    FOR used IN
        SELECT session_id, sum(input_tokens + output_tokens) AS tokens, sum(coalesce(micros, 0)) AS micros
        FROM told GROUP BY session_id ORDER BY session_id
    LOOP
        UPDATE sessions SET tokens = tokens + used.tokens, micros = micros + used.micros WHERE id = used.session_id;
    END LOOP;
    INSERT INTO usage_days (tenant, user_id, day, agent, model, responses, input_tokens, output_tokens, micros)
    SELECT tenant, user_id, (created_at AT TIME ZONE 'UTC')::date AS day, agent, model,
           count(*), sum(input_tokens), sum(output_tokens), sum(coalesce(micros, 0))
    FROM told GROUP BY tenant, user_id, day, agent, model ORDER BY tenant, user_id, day, agent, model
    ON CONFLICT (tenant, user_id, day, agent, model) DO UPDATE SET
        responses = usage_days.responses + EXCLUDED.responses,
        input_tokens = usage_days.input_tokens + EXCLUDED.input_tokens,
        output_tokens = usage_days.output_tokens + EXCLUDED.output_tokens,
        micros = usage_days.micros + EXCLUDED.micros;
    RETURN NULL;
END $$
"""
ONCE = """
CREATE OR REPLACE TRIGGER responses_sum_up AFTER INSERT ON responses
    REFERENCING NEW TABLE AS told FOR EACH STATEMENT EXECUTE FUNCTION responses_sum_up()
"""
OLD_SUMS = """
CREATE OR REPLACE FUNCTION responses_sum_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET tokens = tokens + NEW.input_tokens + NEW.output_tokens,
                        micros = micros + coalesce(NEW.micros, 0)
    WHERE id = NEW.session_id;
    INSERT INTO usage_days (tenant, user_id, day, agent, model, responses, input_tokens, output_tokens, micros)
    VALUES (NEW.tenant, NEW.user_id, (NEW.created_at AT TIME ZONE 'UTC')::date, NEW.agent, NEW.model,
            1, NEW.input_tokens, NEW.output_tokens, coalesce(NEW.micros, 0))
    ON CONFLICT (tenant, user_id, day, agent, model) DO UPDATE SET
        responses = usage_days.responses + 1,
        input_tokens = usage_days.input_tokens + EXCLUDED.input_tokens,
        output_tokens = usage_days.output_tokens + EXCLUDED.output_tokens,
        micros = usage_days.micros + EXCLUDED.micros;
    RETURN NULL;
END $$
"""
FOR_EACH = """
CREATE OR REPLACE TRIGGER responses_sum_up AFTER INSERT ON responses FOR EACH ROW EXECUTE FUNCTION responses_sum_up()
"""


def upgrade() -> None:
    change("responses", SUMS, ONCE)


def downgrade() -> None:
    change("responses", OLD_SUMS, FOR_EACH)
