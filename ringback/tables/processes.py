"""Gateways and workers, what they serve, and how much each limited tool bears."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Float, ForeignKey, Integer, Table, Text
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
    # How many calls it runs at once: what a queue's depth has to be divided by.
    Column("slots", Integer, nullable=False, server_default="0"),
    time("started_at", now=True),
    # Renewed every second; what a process held is taken back when this has passed.
    time("lease_until", nullable=False),
    # Since when it has been renewed without a gap: who has just come back may not declare others lost.
    time("steady_since", now=True),
    # When it last swept for all: the others leave the next moment to it.
    time("swept_at"),
    time("ended_at"),
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
    # One row for each tool that has limits: what all workers know of it together.
    Column("tool", Text, primary_key=True),
    Column("tokens", Float, nullable=False, server_default="0"),
    time("refilled_at", now=True),
    # In a row; and until when the tool is left alone because of them.
    Column("failures", Integer, nullable=False, server_default="0"),
    time("open_until"),
    # One call was let through, to see; nobody else is, until then.
    time("probe_until"),
)
