"""Conversations, what was said in them, their calls, and what they cost."""

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

from ringback.jobs.states import Delivery, Effect, JobState
from ringback.tables.columns import metadata, one_of, tenant, time

RAN = "state IN ('succeeded', 'failed') AND started_at IS NOT NULL"
"""Jobs that tell how long a call of their queue takes; word for word, for that is how an index is recognised."""

SEALED = "sealed_arguments IS NOT NULL OR sealed_result IS NOT NULL"
"""Jobs with something sealed, for the same reason word for word."""

WAITS = "token IS NULL AND finished_at IS NULL"
"""Jobs that wait, in words of their own: see `ringback.statements.row_state`."""

UNFINISHED = "state IN ('pending', 'running')"
"""Jobs that a deadline may still end, for the same reason word for word."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    tenant(),
    Column("user_id", Text, nullable=False),
    # What is known of the user, as the gateway authenticated them: handed to tools.
    Column("claims", JSONB, nullable=False, server_default="{}"),
    # With what its client came in: `key:<id>`, `secret:<id>`, `jwt:<issuer's id of the token>` or `token:<user>`.
    Column("credential", Text, nullable=False, server_default=""),
    # "browser" or "trusted": which of the agent's client policies holds.
    Column("policy", Text, nullable=False, server_default="browser"),
    # Somebody wants it to end, and why; whoever holds it looks once a second.
    Column("end_wanted", Text),
    # What it has used so far, kept up by a trigger on `responses`; micros are millionths of a US dollar.
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column("micros", BigInteger, nullable=False, server_default="0"),
    # True where the agent names a webhook for answers that come after the end.
    Column("has_webhook", Boolean, nullable=False, server_default=text("false")),
    Column("agent", Text, nullable=False),
    Column("model", Text),
    Column("state", Text, nullable=False, server_default="open"),
    # One upstream conversation; a rebuilt one is the next epoch.
    Column("epoch", BigInteger, nullable=False, server_default="1"),
    Column("gateway_id", Text),
    Column("upstream_id", Text),
    time("created_at", now=True),
    time("ended_at"),
    Column("end_reason", Text),
    # SHA-256 of the one token that resumes it; the token itself is the client's alone.
    Column("resume_hash", LargeBinary),
    # How long it may stay detached; none: it ends with its client.
    Column("resume_seconds", Float),
    time("resume_until"),
    # What the client set of the session (audio formats, turn detection): each epoch begins with it.
    Column("client_session", JSONB(none_as_null=True)),
    Column("client_session_in_order", JSON(none_as_null=True)),
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
    Index("ix_sessions_detached", "resume_until", postgresql_where=text("state = 'detached'")),
)

items = Table(
    "items",
    metadata,
    Column("session_id", Uuid, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
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
    # The function_call item, and where it stands in the conversation.
    Column("item_id", Text),
    Column("position", BigInteger),
    # How far the conversation had come when it had the answer: who speaks after that has told it.
    Column("answer_position", BigInteger),
    Column("epoch", BigInteger, nullable=False),
    Column("tool", Text, nullable=False),
    Column("queue", Text, nullable=False),
    # The model's own text where it is no JSON object: the history keeps what was really asked.
    Column("arguments", JSONB, nullable=False),
    # The same as it was written (`ringback.statements.json_order`): jsonb sorts the names in an object.
    Column("arguments_in_order", JSON(none_as_null=True)),
    # What was asked, and how it ended, whole and encrypted, where `arguments`, `result` or `error` show less of it
    # (`ringback.privacy.row_privacy`): for whoever runs the call, and for the conversation that asked; gone when that
    # is over.
    Column("sealed_arguments", LargeBinary),
    Column("sealed_result", LargeBinary),
    Column("effect", Text, nullable=False),
    # As the tool was declared when it was asked for: who may see its result, how late it may come.
    Column("manners", JSONB, nullable=False, server_default="{}"),
    Column("timeout", Float, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=JobState.PENDING),
    Column("delivery", Text, nullable=False, server_default=Delivery.NONE),
    Column("attempt", Integer, nullable=False, server_default="0"),
    # Attempts that a lost worker took with it: they are not the tool's, and use none of its own up.
    Column("rescues", Integer, nullable=False, server_default="0"),
    # Of an at_most_once tool: from here on nobody can say that nothing happened.
    Column("effect_started", Boolean, nullable=False, server_default=text("false")),
    # Whoever writes an outcome must hold it: random, so that it can never be handed out twice.
    Column("token", Uuid),
    Column("worker_id", Text),
    Column("progress", Text),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    # Who wanted that: see ringback.jobs.states.CancelReason.
    Column("cancel_reason", Text),
    # The same call that was running already: it is never run, and ends as that one does.
    Column("joined_to", Uuid),
    # Of a call that needs a yes: 'requested', then 'granted' or 'denied'. It is not published before it is granted.
    Column("approval", Text),
    Column("result", JSONB(none_as_null=True)),
    Column("result_in_order", JSON(none_as_null=True)),
    Column("error", JSONB(none_as_null=True)),
    # Why the last attempt that failed did so, for operators: see `workers.execution.failures`.
    Column("failure", JSONB(none_as_null=True)),
    Column("delivered_epoch", BigInteger),
    # The row is the outbox: a pending job past this time is published again; none: it may not be published.
    time("publish_after"),
    # Of a job that is to be tried again: a message that comes earlier claims nothing.
    time("not_before"),
    # Of a pending call whose tool bears no more at the moment: it waits in line, by age, with others of that tool.
    Column("put_off", Boolean, nullable=False, server_default=text("false")),
    Column("publish_count", Integer, nullable=False, server_default="0"),
    time("deadline_at", nullable=False),
    time("created_at", now=True),
    time("started_at"),
    time("finished_at"),
    # An answer that nobody heard, for the agent's webhook: when it is due; nothing once it was taken.
    time("notify_after"),
    Column("notify_count", Integer, nullable=False, server_default="0"),
    time("notified_at"),
    UniqueConstraint("session_id", "call_id"),
    CheckConstraint(one_of("state", JobState), name="state"),
    CheckConstraint(one_of("delivery", Delivery), name="delivery"),
    CheckConstraint(one_of("effect", Effect), name="effect"),
    CheckConstraint("(state = 'running') = (token IS NOT NULL)", name="token_while_running"),
    CheckConstraint("(state IN ('pending', 'running')) = (finished_at IS NULL)", name="finished"),
    CheckConstraint("state NOT IN ('pending', 'running') OR delivery = 'none'", name="delivery_after_work"),
    CheckConstraint(
        "(delivery IN ('sent', 'acked', 'replayed')) = (delivered_epoch IS NOT NULL)", name="delivered_epoch"
    ),
    CheckConstraint("attempt <= max_attempts + rescues", name="attempts"),
    CheckConstraint(one_of("approval", ("requested", "granted", "denied")), name="approval"),
    CheckConstraint("approval IS DISTINCT FROM 'requested' OR state <> 'running'", name="not_before_approval"),
    CheckConstraint("joined_to IS NULL OR state <> 'running'", name="joined_never_runs"),
    Index("ix_jobs_to_publish", "publish_after", postgresql_where=text("state = 'pending'")),
    Index("ix_jobs_overdue", "deadline_at", postgresql_where=text(UNFINISHED)),
    Index("ix_jobs_running", "worker_id", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_to_deliver", "session_id", postgresql_where=text("delivery = 'ready'")),
    Index("ix_jobs_running_of_tool", "tool", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_oldest_in_queue", "queue", "created_at", postgresql_where=text(WAITS)),
    Index("ix_jobs_in_line", "tool", "created_at", "id", postgresql_where=text("put_off AND finished_at IS NULL")),
    Index("ix_jobs_joined", "joined_to", postgresql_where=text("joined_to IS NOT NULL")),
    Index("ix_jobs_to_notify", "notify_after", postgresql_where=text("notify_after IS NOT NULL")),
    Index("ix_jobs_sealed", "created_at", postgresql_where=text(SEALED)),
    Index("ix_jobs_ran_in_queue", "queue", "finished_at", postgresql_where=text(RAN)),
    Index(None, "tenant", "created_at", "id"),
    # What the history is searched by; `state` is in each, so that a page is one look into the index for each state.
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
    # What each response used, as its `response.done` says.
    Column("session_id", Uuid, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
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
    # Millionths of a US dollar; none: the price table does not know the model.
    Column("micros", BigInteger),
    time("created_at", now=True),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    tenant(),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    time("at", now=True),
    Column("state", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker_id", Text),
    Column("epoch", BigInteger),
    Column("error", JSONB),
    Column("approval", Text),
)
