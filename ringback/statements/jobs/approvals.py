"""Approval of a call: granted or denied once, and only while the call waits for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import Approval, CancelReason, JobState
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds
from ringback.statements.jobs.admission import time_for
from ringback.statements.jobs.transitions import deliverable
from ringback.statements.row_state import is_now
from ringback.tables import jobs, sessions


def decide(job_id: UUID, tenant: str, approved: bool) -> Bound:
    """Grant or deny a call. If granted, it may run and its time begins; if denied, it is over.

    0 rows: the call needs no approval, is decided already, or its time for approval has passed. Returns `id`, `state`,
    `approval`, `queue`, and the session to notify: `session_id`, `gateway_id`.
    """
    return _grant(job_id, tenant) if approved else _deny(job_id, tenant)


def deciding(job_id: UUID, tenant: str, *, approved: bool) -> ReturningUpdate[Any]:
    """Build the statement of `decide`, for one that adds to it."""
    built: ReturningUpdate[Any] = (_grant if approved else _deny).build(job_id, tenant)
    return built


@statement
def _grant(job_id: UUID, tenant: str) -> ReturningUpdate[Any]:
    deadline = now() + seconds(time_for(jobs.c.timeout, jobs.c.max_attempts))
    return _deciding(job_id, tenant, approval=Approval.GRANTED, publish_after=now(), deadline_at=deadline)


@statement
def _deny(job_id: UUID, tenant: str) -> ReturningUpdate[Any]:
    return _deciding(
        job_id,
        tenant,
        approval=Approval.DENIED,
        state=JobState.CANCELLED,
        cancel_reason=CancelReason.DENIED,
        error=func.jsonb_build_object("code", "approval_denied"),
        finished_at=now(),
        delivery=deliverable(),
    )


def _deciding(job_id: UUID, tenant: str, **values: Any) -> ReturningUpdate[Any]:
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.tenant == tenant,
            jobs.c.session_id == sessions.c.id,
            is_now(jobs.c.state, JobState.PENDING),
            jobs.c.approval == Approval.REQUESTED,
            jobs.c.deadline_at > now(),
        )
        .values(**values)
        .returning(
            *(jobs.c.id, jobs.c.state, jobs.c.approval, jobs.c.tool, jobs.c.queue, jobs.c.session_id),
            sessions.c.gateway_id,
        )
    )
