"""Life of a call: a gateway admits it, a worker claims it, and the holder of the token finishes it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Select,
    Text,
    Update,
    Uuid,
    any_,
    case,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import LIVE, Approval, CancelReason, Delivery, Effect, JobState
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds, seconds_since, seconds_until
from ringback.statements.jobs.controls import is_controlled
from ringback.statements.json_order import in_order, with_order
from ringback.statements.row_state import is_now
from ringback.tables import jobs, sessions


def claim(
    job_id: UUID,
    worker_id: str,
    token: UUID | None = None,
    tools: Collection[str] | None = None,
    *,
    locked: Collection[str] = (),
) -> Bound:
    """Claim a pending job and return its token. 0 rows: a stale, repeated or forged message; drop it.

    The run takes every argument from the row, and none from the message. If a worker brings a random
    token, it can give up a claim whose reply it lost (`give_up_claims`). A job whose tool is not in `tools` stays where
    it is: the worker does not have the tool (`passing`), or must pass its gate first (`gates`). None: any tool. A job
    whose queue or tool an operator has paused or limited stays too.

    Args:
        locked: kinds ("queue", "tool") of which this transaction has the lock of the job's control, and bears it out.
    """
    return _claim(job_id, worker_id, token, None if tools is None else list(tools), list(locked))


@statement
def _claim(
    job_id: UUID, worker_id: str, token: UUID | None, tools: list[str] | None, locked: list[str]
) -> ReturningUpdate[Any]:
    wanted = type_coerce(tools, ARRAY(Text))
    return claiming(job_id, worker_id, token).where(
        wanted.is_(None) | (jobs.c.tool == any_(wanted)), ~is_controlled(locked)
    )


def claiming(job_id: UUID, worker_id: str, token: UUID | None) -> ReturningUpdate[Any]:
    """Build the statement that claims a job, whatever its tool; `claim` and `passing` add which."""
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.session_id == sessions.c.id,
            is_now(jobs.c.state, JobState.PENDING),
            jobs.c.attempt < _attempts(),
            jobs.c.cancel_requested.is_(False),
            jobs.c.deadline_at > now(),
            jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()),
            may_be_published(),
        )
        .values(
            state=JobState.RUNNING,
            attempt=jobs.c.attempt + 1,
            token=func.coalesce(type_coerce(token, Uuid), func.gen_random_uuid()),
            worker_id=worker_id,
            started_at=now(),
            progress=None,
            put_off=False,
        )
        .returning(
            jobs.c.id,
            jobs.c.token,
            jobs.c.tool,
            in_order(jobs.c.arguments),
            jobs.c.sealed_arguments,
            jobs.c.attempt,
            _attempts().label("max_attempts"),
            jobs.c.call_id,
            jobs.c.session_id,
            jobs.c.rerun_of,
            jobs.c.effect,
            jobs.c.timeout,
            jobs.c.manners["scopes"].label("scopes"),
            jobs.c.manners["redact"].label("redact"),
            seconds_until(jobs.c.deadline_at).label("seconds_left"),
            jobs.c.queue,
            seconds_since(jobs.c.created_at).label("waited"),
            sessions.c.user_id,
            sessions.c.claims,
            sessions.c.agent,
        )
    )


@statement
def give_up_claims(job_ids: list[UUID], tokens: list[UUID]) -> ReturningUpdate[Any]:
    """Give back jobs that were claimed and not begun, because the reply of the claim or of the barrier was lost.

    This costs the tool no attempt. Returns `id` of each. One that is missing is not held by any of these tokens: its
    claim was not executed, or not yet, or another worker has it.
    """
    over = jobs.c.cancel_requested
    # No join: Postgres might begin with the sessions, and read all jobs of each.
    then = select(deliverable()).where(sessions.c.id == jobs.c.session_id).scalar_subquery()
    return (
        update(jobs)
        .where(
            jobs.c.id == any_(type_coerce(job_ids, ARRAY(Uuid))),
            is_now(jobs.c.state, JobState.RUNNING),
            jobs.c.token == any_(type_coerce(tokens, ARRAY(Uuid))),
        )
        .values(
            state=case((over, JobState.CANCELLED), else_=JobState.PENDING),
            token=None,
            effect_started=False,
            error=func.jsonb_build_object("code", case((over, "cancelled"), else_="handed_back")),
            max_attempts=jobs.c.max_attempts + 1,
            publish_after=now(),
            publish_count=0,
            finished_at=case((over, now())),
            delivery=case((over, then), else_=Delivery.NONE),
        )
        .returning(jobs.c.id)
    )


@statement
def begin_effect(job_id: UUID, token: UUID) -> Update:
    """Mark the effect of an at_most_once tool as begun: from here on it may have happened. A durable commit.

    0 rows: the worker no longer holds the job, or the job was cancelled; the tool must not run.
    """
    return (
        update(jobs)
        .where(_held(job_id, token), jobs.c.effect_started.is_(False), jobs.c.cancel_requested.is_(False))
        .values(effect_started=True)
    )


def finish(
    job_id: UUID,
    token: UUID,
    outcome: Outcome,
    sealed_result: bytes | None = None,
    failure: dict[str, Any] | None = None,
    summary: str | None = None,
) -> Bound:
    """Write the outcome, once. 0 rows: the token is stale, another worker has the job, or it is over.

    Args:
        sealed_result: the whole result, encrypted, if `outcome` shows less (`ringback.privacy.row_privacy`).
        failure: why this attempt failed (`workers.execution.failures`); None leaves that of an earlier one.
        summary: the tool's own story of the call, in one line; None leaves that of an earlier attempt.
    """
    return _finish(job_id, token, outcome.state, outcome.result, outcome.error, sealed_result, failure, summary)


@statement
def _finish(
    job_id: UUID,
    token: UUID,
    state: str,
    result: Any,
    error: dict[str, Any] | None,
    sealed_result: bytes | None,
    failure: dict[str, Any] | None,
    summary: str | None,
) -> ReturningUpdate[Any]:
    return finished(
        job_id=job_id,
        token=token,
        state=state,
        result=result,
        error=error,
        sealed_result=sealed_result,
        failure=failure,
        summary=summary,
    )


def finished(session_id: ColumnElement[Any] = jobs.c.session_id, **given: Any) -> ReturningUpdate[Any]:
    """Build the statement that writes an outcome, from the arguments of `_finish` or from columns of these names.

    Args:
        session_id: of the job.
    """
    return (
        update(jobs)
        .where(_held(given["job_id"], given["token"]), sessions.c.id == session_id)
        .values(
            state=given["state"],
            **with_order(jobs.c.result, given["result"]),
            error=given["error"],
            sealed_result=given["sealed_result"],
            failure=_failure(given["failure"]),
            summary=_summary(given["summary"]),
            finished_at=now(),
            token=None,
            delivery=deliverable(),
        )
        .returning(jobs.c.session_id, jobs.c.delivery, sessions.c.gateway_id, sessions.c.epoch)
    )


@statement
def finished_as(job_id: UUID, worker_id: str, attempt: int, state: JobState) -> Select[Any]:
    """Return one row if this attempt's outcome is written, for a worker that lost the reply of `finish`."""
    return (
        select(jobs.c.session_id, jobs.c.delivery, sessions.c.gateway_id)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(
            jobs.c.id == job_id, jobs.c.worker_id == worker_id, jobs.c.attempt == attempt, is_now(jobs.c.state, state)
        )
    )


@statement
def retry(
    job_id: UUID,
    token: UUID,
    error: dict[str, str],
    backoff: float,
    failure: dict[str, Any] | None = None,
    summary: str | None = None,
) -> Update:
    """Give the job back for another attempt in `backoff` seconds. 0 rows: none left, no time, or its effect began."""
    return (
        update(jobs)
        .where(
            _held(job_id, token),
            jobs.c.attempt < _attempts(),
            jobs.c.cancel_requested.is_(False),
            jobs.c.deadline_at > now() + seconds(backoff),
            (jobs.c.effect != Effect.AT_MOST_ONCE) | jobs.c.effect_started.is_(False),
        )
        .values(
            state=JobState.PENDING,
            token=None,
            error=error,
            publish_after=now() + seconds(backoff),
            not_before=now() + seconds(backoff),
            publish_count=0,
            failure=_failure(failure),
            summary=_summary(summary),
        )
    )


@statement
def hand_back(worker_id: str) -> ReturningUpdate[Any]:
    """Give back all jobs that a stopping worker still runs, for others to take at once.

    This costs the tool no attempt. A job whose effect may have happened is `unknown`; a cancelled job is over.
    """
    mine = (
        select(jobs.c.id, jobs.c.session_id)
        .where(jobs.c.worker_id == worker_id, jobs.c.state == JobState.RUNNING)
        .order_by(jobs.c.id)
        .with_for_update()
        .cte("mine")
    )
    begun = (jobs.c.effect == Effect.AT_MOST_ONCE) & jobs.c.effect_started
    over = begun | jobs.c.cancel_requested
    state = case((begun, JobState.UNKNOWN), (jobs.c.cancel_requested, JobState.CANCELLED), else_=JobState.PENDING)
    code = case((begun, "outcome_unknown"), (jobs.c.cancel_requested, "cancelled"), else_="handed_back")
    return (
        update(jobs)
        .where(jobs.c.id == mine.c.id, mine.c.session_id == sessions.c.id)
        .values(
            state=state,
            token=None,
            error=func.jsonb_build_object("code", code),
            max_attempts=jobs.c.max_attempts + 1,
            publish_after=now(),
            publish_count=0,
            finished_at=case((over, now())),
            delivery=case((over, deliverable()), else_=Delivery.NONE),
        )
        .returning(jobs.c.id, jobs.c.session_id, jobs.c.tool, jobs.c.queue, jobs.c.state, sessions.c.gateway_id)
    )


@statement
def cancel(
    job_id: UUID, tenant: str, reason: CancelReason = CancelReason.OPERATOR, *, pending_only: bool = False
) -> ReturningUpdate[Any]:
    """Cancel a call: a pending one is over, the worker of a running one is told.

    0 rows: there is no such job, or it is over; or, with `pending_only`, a worker has claimed it.
    """
    runs_on = type_coerce(pending_only, Boolean).is_(False)
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.tenant == tenant,
            is_now(jobs.c.state, JobState.PENDING) | (is_now(jobs.c.state, JobState.RUNNING) & runs_on),
            jobs.c.session_id == sessions.c.id,
        )
        .values(**cancelling(reason))
        .returning(jobs.c.id, jobs.c.state, jobs.c.session_id, jobs.c.tool, jobs.c.queue, sessions.c.gateway_id)
    )


def cancelling(reason: CancelReason) -> dict[str, Any]:
    """Return the values that cancel a live job. The statement that uses them joins `sessions`."""
    waiting = jobs.c.state == JobState.PENDING
    return {
        "cancel_requested": True,
        "cancel_reason": func.coalesce(jobs.c.cancel_reason, reason),
        "state": case((waiting, JobState.CANCELLED), else_=jobs.c.state),
        "error": case((waiting, func.jsonb_build_object("code", "cancelled")), else_=jobs.c.error),
        "finished_at": case((waiting, now())),
        "delivery": case((waiting, deliverable()), else_=jobs.c.delivery),
    }


@statement
def note_progress(job_id: UUID, token: UUID, note: str) -> ReturningUpdate[Any]:
    """Write the progress note of a running tool. Returns the session to notify: `session_id` and `gateway_id`."""
    return (
        update(jobs)
        .where(_held(job_id, token), jobs.c.session_id == sessions.c.id)
        .values(progress=note)
        .returning(jobs.c.session_id, sessions.c.gateway_id)
    )


@statement
def progress_in(session_id: UUID) -> Select[Any]:
    """Return progress and approvals of a session's live calls, without reruns: `id`, `progress`, `is_approved`."""
    is_approved = jobs.c.approval.is_not_distinct_from(Approval.GRANTED)
    return select(jobs.c.id, jobs.c.progress, is_approved.label("is_approved")).where(
        jobs.c.session_id == session_id,
        jobs.c.rerun_of.is_(None),
        is_now(jobs.c.state, *LIVE),
        jobs.c.progress.is_not(None) | is_approved,
    )


@statement
def cancelled_jobs(worker_id: str) -> Select[Any]:
    """Return the running jobs of a worker that were cancelled."""
    return select(jobs.c.id).where(
        jobs.c.worker_id == worker_id, jobs.c.state == JobState.RUNNING, jobs.c.cancel_requested
    )


def outcome_of(row: Any) -> dict[str, Any]:
    """Return the arguments of `ringback.jobs.outcomes.from_row` from a job's row."""
    return {"state": row.state, "result": row.result, "error": row.error, "cancel_reason": row.cancel_reason}


def may_be_published() -> ColumnElement[bool]:
    """Return false for a pending call that waits for approval or for the same call's end: no worker may have it."""
    return jobs.c.joined_to.is_(None) & jobs.c.approval.is_distinct_from(Approval.REQUESTED)


def deliverable() -> ColumnElement[Any]:
    """Return `ready` if the conversation may still hear the result, and `history_only` if it is over."""
    return case((sessions.c.state == "ended", Delivery.HISTORY_ONLY), else_=Delivery.READY)


def _attempts() -> ColumnElement[int]:
    """Return how many attempts are allowed: the tool's own, and one for each that was lost with a worker."""
    return jobs.c.max_attempts + jobs.c.rescues


def _held(job_id: ColumnElement[Any] | UUID, token: ColumnElement[Any] | UUID) -> ColumnElement[bool]:
    return (jobs.c.id == job_id) & is_now(jobs.c.state, JobState.RUNNING) & (jobs.c.token == token)


def _failure(failure: Any) -> ColumnElement[Any]:
    return func.coalesce(type_coerce(failure, jobs.c.failure.type), jobs.c.failure)


def _summary(summary: Any) -> ColumnElement[Any]:
    return func.coalesce(type_coerce(summary, Text), jobs.c.summary)
