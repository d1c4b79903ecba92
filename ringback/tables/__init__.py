"""Tables, as migrations/ creates them and `ringback.statements` uses them.

    tenants own everything: each row of each table names its tenant, from the first migration on.

    processes ──< worker_tools        a gateway or a worker, its lease, and what it serves
    sessions ──< jobs ──< job_events  a conversation, its calls, and each step each call took
    sessions ──< items                the messages, in order; a call's place in that order is `jobs.position`
    sessions ──< responses            what each response used; summed up in `usage_days`
    sessions ──< moments              when the user and the model spoke, for a timeline
    sessions ──< recordings           both voices, in pieces of some seconds, if the agent has them recorded
    tool_gates                        limits of each tool and their present state, for all workers together
    controls                          what an operator has paused or limited: a queue or a tool
    audit                             what operators did, and who
    api_keys ──< client_secrets       who may come in, and `signed_out`, who may not any more

CHECKs hold the rules that a CHECK can express. Triggers hold the rest, so that no statement can forget them. One
refuses a move that `ringback.jobs.states` does not list, and one writes every move into `job_events`. One ends a
joined call with the call that it joined, one keeps the result of a rerun from every conversation, one schedules late
results for a webhook, and one sums up usage. Two delete what belonged to a deleted session or job. One makes held
calls due once an operator lets their queue or tool go on, and one refuses to change what `audit` holds.
"""

from ringback.tables.access import api_keys, audit, client_secrets, signed_out, tenants, usage_days, webhook_receipts
from ringback.tables.columns import DEFAULT_TENANT, metadata
from ringback.tables.conversations import (
    RAN,
    SEALED,
    UNFINISHED,
    items,
    job_events,
    jobs,
    moments,
    recordings,
    responses,
    sessions,
)
from ringback.tables.processes import controls, processes, tool_gates, worker_tools

__all__ = [
    "DEFAULT_TENANT",
    "RAN",
    "SEALED",
    "UNFINISHED",
    "api_keys",
    "audit",
    "client_secrets",
    "controls",
    "items",
    "job_events",
    "jobs",
    "metadata",
    "moments",
    "processes",
    "recordings",
    "responses",
    "sessions",
    "signed_out",
    "tenants",
    "tool_gates",
    "usage_days",
    "webhook_receipts",
    "worker_tools",
]
