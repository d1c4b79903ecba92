"""Tables of conversations: sessions, messages, calls, and what they cost.

The history API shows a column of `sessions` or `jobs`, by a field of its name in `ringback.history.documents`, unless
the column says `info=internal(…)`, with the reason. One without either fails
tests/unit/ringback/history/test_shown_columns.py, which says what to do.

What each call adds (messages, moments, usage, events) has no foreign key: each statement that writes it holds its
session's row, or is the job's own trigger. Triggers delete it with its session or job.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

from ringback.jobs.states import IN_A_CONVERSATION, TERMINAL, Delivery, Effect, HeardBy, JobState
from ringback.recordings.audio import Codec, Voice
from ringback.tables.columns import internal, metadata, one_of, tenant, time

RAN = "state IN ('succeeded', 'failed') AND started_at IS NOT NULL"
"""Jobs that show how long a call of their queue takes. Word for word, as Postgres recognises an index by that."""

SEALED = "sealed_arguments IS NOT NULL OR sealed_result IS NOT NULL"
"""Jobs with encrypted values; word for word, for the same reason."""

WAITS = "token IS NULL AND finished_at IS NULL"
"""Jobs that wait, in a wording that only their index has: see `ringback.statements.row_state`."""

UNFINISHED = "state IN ('pending', 'running')"
"""Jobs that a deadline may still end; word for word, for the same reason."""

NOT_IN_A_CONVERSATION = [each for each in Delivery if each not in IN_A_CONVERSATION]
"""Deliveries of results that no conversation was given."""

LIVE_CALL = "call_id IS NOT NULL AND state <> 'ended'"
"""Sessions that hold a call at the Realtime API: a call has one of them at most."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    tenant(),
    Column("user_id", Text, nullable=False),
    # Facts about the user, as the gateway authenticated them: handed to tools.
    Column("claims", JSONB, nullable=False, server_default="{}", info=internal("who the client is")),
    # What its client authenticated with: `key:<id>`, `secret:<id>`, `jwt:<issuer's id of the token>` or `token:<user>`.
    Column("credential", Text, nullable=False, server_default="", info=internal("who the client is")),
    # "browser" or "trusted": which of the agent's client policies holds.
    Column("policy", Text, nullable=False, server_default="browser", info=internal("who the client is")),
    # Why the session is asked to end; the gateway that holds it polls once a second.
    Column("end_wanted", Text, info=internal("for gateways")),
    # Usage so far, kept up by a trigger on `responses`; micros are millionths of a US dollar.
    Column("tokens", BigInteger, nullable=False, server_default="0", info=internal("told by GET /v1/usage")),
    Column("micros", BigInteger, nullable=False, server_default="0", info=internal("told by GET /v1/usage")),
    # True if the agent names a webhook for results that come after the end.
    Column("has_webhook", Boolean, nullable=False, server_default=text("false"), info=internal("for gateways")),
    Column("agent", Text, nullable=False),
    Column("model", Text),
    Column("state", Text, nullable=False, server_default="open"),
    # The number of its upstream conversation; a rebuilt one is the next epoch.
    Column("epoch", BigInteger, nullable=False, server_default="1"),
    Column("gateway_id", Text),
    Column("upstream_id", Text),
    # How its voice goes: `ringback.transport`. Of a call that goes to the Realtime API itself, its id there:
    # with it, any gateway attaches to the live conversation.
    Column("transport", Text, nullable=False, server_default="websocket"),
    Column("call_id", Text),
    # The ids of its outputs are derived from it (`ringback.jobs.states.output_item_id`).
    Column("item_secret", Text, info=internal("its page must not know it")),
    time("created_at", now=True),
    time("ended_at"),
    Column("end_reason", Text),
    # SHA-256 of the one token that resumes it; only the client has the token itself.
    Column("resume_hash", LargeBinary, info=internal("how the client resumes")),
    # How long it may stay detached, waiting for its client, or a call for a gateway; null: it ends with its client.
    Column("resume_seconds", Float, info=internal("how the client resumes")),
    time("resume_until", info=internal("how the client resumes")),
    # What the client set of the session (audio formats, turn detection): each epoch begins with it.
    Column("client_session", JSONB(none_as_null=True), info=internal("the client's own settings")),
    Column("client_session_in_order", JSON(none_as_null=True), info=internal("the client's own settings")),
    CheckConstraint(one_of("state", ("open", "draining", "detached", "ended")), name="state"),
    CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended"),
    CheckConstraint("state <> 'detached' OR resume_until IS NOT NULL", name="detached"),
    Index(None, "gateway_id", postgresql_where=text("state IN ('open', 'draining')")),
    Index(None, "tenant", "created_at", "id"),
    Index("ix_sessions_by_state", "tenant", "state", "created_at", "id"),
    Index("ix_sessions_by_agent", "tenant", "agent", "state", "created_at", "id"),
    Index(None, "resume_hash", unique=True, postgresql_where=text("resume_hash IS NOT NULL")),
    Index("ix_sessions_live_of_user", "tenant", "user_id", postgresql_where=text("state <> 'ended'")),
    Index("ix_sessions_live_by_credential", "credential", postgresql_where=text("state <> 'ended'")),
    Index("ix_sessions_over", "tenant", "ended_at", postgresql_where=text("state = 'ended'")),
    Index("ix_sessions_erased", "tenant", "user_id", postgresql_where=text("end_wanted = 'erased'")),
    Index(None, "tenant", "user_id"),
    Index("ix_sessions_live_calls", "gateway_id", postgresql_where=text(LIVE_CALL)),
    Index("ix_sessions_one_of_a_call", "call_id", unique=True, postgresql_where=text(LIVE_CALL)),
    Index("ix_sessions_detached", "resume_until", postgresql_where=text("state = 'detached'")),
)

items = Table(
    "items",
    metadata,
    Column("session_id", Uuid, primary_key=True),
    # One order for all that a conversation holds: a call's place in it is `jobs.position`.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    tenant(),
    Column("item_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    # The parts as the user heard or said them: `[{"type", "text"}]`, never audio.
    Column("content", JSONB, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    time("created_at", now=True),
    time("changed_at"),
    UniqueConstraint("session_id", "item_id"),
    CheckConstraint(one_of("role", ("user", "assistant", "system")), name="role"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    tenant(),
    Column("session_id", Uuid, ForeignKey("sessions.id"), nullable=False),
    Column("call_id", Text, nullable=False),
    Column("response_id", Text),
    # The function_call item, and its position in the conversation.
    Column("item_id", Text, info=internal("where the call stands")),
    Column("position", BigInteger, info=internal("where the call stands")),
    # The end of the conversation when it got the result: a response after that has told it.
    Column("answer_position", BigInteger, info=internal("where the call stands")),
    Column("epoch", BigInteger, nullable=False),
    Column("tool", Text, nullable=False),
    Column("queue", Text, nullable=False),
    # The model's own text if it is no JSON object: the history keeps what was really asked.
    Column("arguments", JSONB, nullable=False),
    # The same in its written order (`ringback.statements.json_order`): jsonb sorts the names in an object.
    Column("arguments_in_order", JSON(none_as_null=True), info=internal("shown as `arguments`")),
    # Whole arguments and result, encrypted, if `arguments`, `result` or `error` show less
    # (`ringback.privacy.row_privacy`). For the worker that runs the call and the conversation that asked; deleted when
    # that is over.
    Column("sealed_arguments", LargeBinary, info=internal("secret")),
    Column("sealed_result", LargeBinary, info=internal("secret")),
    Column("effect", Text, nullable=False),
    # The tool's behavior as it was declared at the call: who may see its result, how late it may come.
    Column("manners", JSONB, nullable=False, server_default="{}", info=internal("the tool's, told by GET /v1/tools")),
    Column("timeout", Float, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=JobState.PENDING),
    Column("delivery", Text, nullable=False, server_default=Delivery.NONE),
    Column("attempt", Integer, nullable=False, server_default="0"),
    # Attempts lost with a worker: they do not count against the tool's own.
    Column("rescues", Integer, nullable=False, server_default="0", info=internal("part of `max_attempts`")),
    # Of an at_most_once tool: from here on its effect may have happened.
    Column("effect_started", Boolean, nullable=False, server_default=text("false"), info=internal("for sweepers")),
    # The fencing token, which a write of the outcome must bear: random, so that it is never given out twice.
    Column("token", Uuid, info=internal("secret")),
    Column("worker_id", Text),
    Column("progress", Text),
    # The tool's own one-line story of the call (`Call.summary`): that of the last attempt which told one.
    Column("summary", Text),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    # Why it was cancelled: see ringback.jobs.states.CancelReason.
    Column("cancel_reason", Text),
    # The same call that was running already: this one never runs, and ends as that one does.
    Column("joined_to", Uuid),
    # Of a rerun, which an operator started: the call that it repeats. Its result stays in the history.
    Column("rerun_of", Uuid),
    # Of a call that needs approval: 'requested', then 'granted' or 'denied'. It is published once it is granted.
    Column("approval", Text),
    Column("result", JSONB(none_as_null=True)),
    Column("result_in_order", JSON(none_as_null=True), info=internal("shown as `result`")),
    Column("error", JSONB(none_as_null=True)),
    # Why the last failed attempt failed, for operators: see `workers.execution.failures`.
    Column("failure", JSONB(none_as_null=True), info=internal("for operators: `ringback jobs show`")),
    Column("delivered_epoch", BigInteger),
    # When a conversation was given the result first; when the response began that tells it, and which one that is.
    time("given_at"),
    time("answer_began_at"),
    Column("answer_id", Text),
    # When the first audio or text of that response went to the client, and when the user had heard its first second.
    time("spoken_at"),
    time("heard_at"),
    # How it is known what the user heard; null until then.
    Column("heard_by", Text),
    # How long that response sounds, and how much of it the user heard, in milliseconds; null for text.
    Column("audio_ms", Float),
    Column("played_ms", Float),
    # The row is the outbox: a pending job past this time is published again; null: it may not be published.
    time("publish_after", info=internal("for sweepers")),
    # Of a job that is to be retried: a message that comes earlier claims no row.
    time("not_before", info=internal("for sweepers")),
    # Of a pending call whose tool is at its limit: it waits in line, by age, with others of that tool.
    Column("put_off", Boolean, nullable=False, server_default=text("false"), info=internal("for sweepers")),
    Column("publish_count", Integer, nullable=False, server_default="0"),
    time("deadline_at", nullable=False),
    time("created_at", now=True),
    time("started_at"),
    time("finished_at"),
    # When a late result is due at the agent's webhook; null once it was taken.
    time("notify_after", info=internal("for sweepers")),
    Column("notify_count", Integer, nullable=False, server_default="0"),
    time("notified_at"),
    UniqueConstraint("session_id", "call_id"),
    CheckConstraint(
        f"CASE WHEN finished_at IS NOT NULL THEN token IS NULL AND {one_of('state', sorted(TERMINAL))} "
        "WHEN token IS NULL THEN state = 'pending' AND delivery = 'none' "
        "ELSE state = 'running' AND delivery = 'none' AND joined_to IS NULL AND approval IS DISTINCT FROM 'requested' "
        "END",
        name="state",
    ),
    CheckConstraint(
        f"CASE WHEN delivered_epoch IS NULL THEN {one_of('delivery', NOT_IN_A_CONVERSATION)} "
        f"ELSE {one_of('delivery', IN_A_CONVERSATION)} END",
        name="delivery",
    ),
    CheckConstraint(one_of("effect", Effect), name="effect"),
    CheckConstraint(one_of("heard_by", HeardBy), name="heard_by"),
    CheckConstraint("delivery <> 'heard' OR heard_at IS NOT NULL", name="heard"),
    CheckConstraint("attempt <= max_attempts + rescues", name="attempts"),
    CheckConstraint(one_of("approval", ("requested", "granted", "denied")), name="approval"),
    CheckConstraint(
        f"rerun_of IS NULL OR {one_of('delivery', (Delivery.NONE, Delivery.HISTORY_ONLY))}",
        name="rerun_is_not_delivered",
    ),
    Index("ix_jobs_to_publish", "publish_after", postgresql_where=text("state = 'pending'")),
    Index("ix_jobs_overdue", "deadline_at", postgresql_where=text(UNFINISHED)),
    Index("ix_jobs_running", "worker_id", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_to_deliver", "session_id", postgresql_where=text("delivery = 'ready'")),
    Index("ix_jobs_running_of_tool", "tool", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_oldest_in_queue", "queue", "created_at", postgresql_where=text(WAITS)),
    Index("ix_jobs_in_line", "tool", "created_at", "id", postgresql_where=text("put_off AND finished_at IS NULL")),
    Index("ix_jobs_joined", "joined_to", postgresql_where=text("joined_to IS NOT NULL")),
    Index("ix_jobs_reruns", "rerun_of", postgresql_where=text("rerun_of IS NOT NULL")),
    # A call has one rerun at a time.
    Index(
        "ix_jobs_live_rerun",
        "rerun_of",
        unique=True,
        postgresql_where=text("rerun_of IS NOT NULL AND finished_at IS NULL"),
    ),
    Index("ix_jobs_running_in_queue", "queue", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_to_notify", "notify_after", postgresql_where=text("notify_after IS NOT NULL")),
    Index("ix_jobs_sealed", "created_at", postgresql_where=text(SEALED)),
    Index("ix_jobs_ran_in_queue", "queue", "finished_at", postgresql_where=text(RAN)),
    Index(None, "tenant", "created_at", "id"),
    # Indexes of the history's searches. `state` is in each, so that a page is one index look-up for each state.
    Index("ix_jobs_by_state", "tenant", "state", "created_at", "id"),
    Index("ix_jobs_by_tool", "tenant", "tool", "state", "created_at", "id"),
    Index("ix_jobs_by_queue", "tenant", "queue", "state", "created_at", "id"),
    Index(
        "ix_jobs_by_approval", "tenant", "approval", "created_at", "id", postgresql_where=text("approval IS NOT NULL")
    ),
)

responses = Table(
    "responses",
    metadata,
    # Usage of each response, from its `response.done`.
    Column("session_id", Uuid, primary_key=True),
    Column("response_id", Text, primary_key=True),
    tenant(),
    Column("user_id", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    # By kind: `ringback.usage.prices.Usage`.
    Column("tokens", JSONB, nullable=False),
    # Millionths of a US dollar; null: the price table does not list the model.
    Column("micros", BigInteger),
    time("created_at", now=True),
)

moments = Table(
    "moments",
    metadata,
    # What happened in a session, and when: `ringback.moments`.
    Column("session_id", Uuid, primary_key=True),
    # The conversation of the session in which it happened, and a number that the gateway gives: a batch that is
    # written twice, because its answer was lost, is there once.
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    tenant(),
    time("at", nullable=False),
    Column("kind", Text, nullable=False),
    Column("response_id", Text),
    Column("ms", Float),
    Column("detail", Text),
)

recordings = Table(
    "recordings",
    metadata,
    # A piece of one voice of a session, a few seconds long: `ringback.recordings`.
    Column("session_id", Uuid, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    # When it sounded, in milliseconds from the beginning of the session.
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("voice", Text, primary_key=True),
    # In which it was written: two gateways in turn may hold a session.
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    tenant(),
    time("at", now=True),
    Column("ms", BigInteger, nullable=False),
    # How `audio` is to be read: "lost" has none, as it could not be kept.
    Column("codec", Text, nullable=False),
    # Samples a second.
    Column("rate", Integer, nullable=False),
    Column("audio", LargeBinary, nullable=False),
    # 0 to 127 for each 20 ms, to be drawn.
    Column("loudness", LargeBinary, nullable=False),
    CheckConstraint(one_of("voice", Voice), name="voice"),
    CheckConstraint(one_of("codec", Codec), name="codec"),
    Index(None, "at"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    tenant(),
    Column("job_id", Uuid, nullable=False, index=True),
    time("at", now=True),
    Column("state", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker_id", Text),
    Column("epoch", BigInteger),
    Column("error", JSONB),
    Column("approval", Text),
)
