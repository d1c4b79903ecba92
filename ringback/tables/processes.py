"""Tables of gateways and workers, of the tools they serve, and of the limits on tools and queues."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Float, ForeignKey, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSON, JSONB

from ringback.tables.columns import metadata, tenant, tenant_key, time

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("queues", JSONB, nullable=False, server_default="[]"),
    # How many calls it runs at once: the divisor of a queue's depth.
    Column("slots", Integer, nullable=False, server_default="0"),
    time("started_at", now=True),
    # Renewed every second; once this has passed, others take back what the process held.
    time("lease_until", nullable=False),
    # Start of its renewals without a gap: a process that has just come back may not declare others lost.
    time("steady_since", now=True),
    # When it last swept for all: the others leave the next turn to it.
    time("swept_at"),
    time("ended_at"),
    # A gateway's: results that go along with its doorbells are sealed with it.
    Column("doorbell_key", LargeBinary),
    CheckConstraint("kind IN ('gateway', 'worker')", name="kind"),
)

worker_tools = Table(
    "worker_tools",
    metadata,
    Column("worker_id", Text, ForeignKey("processes.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    tenant(),
    Column("description", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("parameters_in_order", JSON(none_as_null=True)),
    Column("queue", Text, nullable=False),
    Column("timeout", Float, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("effect", Text, nullable=False),
    Column("manners", JSONB, nullable=False, server_default="{}"),
    Column("limits", JSONB, nullable=False, server_default="{}"),
    Column("version", Text, nullable=False),
)

tool_gates = Table(
    "tool_gates",
    metadata,
    tenant_key(),
    # One row for each tool that has limits: their state, shared by all workers.
    Column("tool", Text, primary_key=True),
    Column("tokens", Float, nullable=False, server_default="0"),
    time("refilled_at", now=True),
    # Failures in a row, and until when the tool gets no calls because of them.
    Column("failures", Integer, nullable=False, server_default="0"),
    time("open_until"),
    # One call was let through as a probe; no other is, until then.
    time("probe_until"),
)

controls = Table(
    "controls",
    metadata,
    tenant_key(),
    # What an operator has set of one queue or one tool, for all workers: "queue" or "tool", and its name.
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    # True: no call of it begins. Its calls wait in their rows, each until its deadline.
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    # How many of its calls may run at once; null: as many as the tools and the workers allow.
    Column("concurrency", Integer),
    time("changed_at", now=True),
    CheckConstraint("kind IN ('queue', 'tool')", name="kind"),
    CheckConstraint("concurrency > 0", name="concurrency"),
)
