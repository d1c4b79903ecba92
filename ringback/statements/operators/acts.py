"""Acts of operators on calls: cancel one or many, and run finished ones once more.

A *rerun* is a job of its own in the session of the call that it repeats, with that call's idempotency key. Its result
stays in the history: a trigger and a CHECK keep it from every conversation and webhook. A call has one rerun at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Select, and_, case, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from ringback.history.operators import ActName
from ringback.history.pagination import JobQuery
from ringback.jobs.states import LIVE, TERMINAL, Approval, CancelReason, Effect
from ringback.statements import session_end
from ringback.statements.clock import now, seconds
from ringback.statements.jobs import approvals
from ringback.statements.jobs.admission import PUBLISH_GRACE_SECONDS, time_for
from ringback.statements.jobs.transitions import cancelling
from ringback.statements.operators.audit import Operator, recorded
from ringback.statements.row_state import is_now
from ringback.tables import jobs, sessions, worker_tools

_COPIED = (
    *("tenant", "session_id", "epoch", "tool", "queue", "arguments", "arguments_in_order", "sealed_arguments"),
    *("manners", "timeout", "max_attempts"),
)
"""Columns that a rerun has from the call that it repeats."""


def cancel(who: Operator, job_ids: Collection[UUID], chosen_by: JobQuery | None = None) -> Select[Any]:
    """Cancel those of these calls that are live. Returns `id`, `state`, `tool`, `queue`, `session_id`,
    `gateway_id` of each.

    Args:
        chosen_by: the query that the calls matched, for the audit log; None: the one call was named.
    """
    wanted = (
        select(jobs.c.id)
        .where(jobs.c.id.in_(job_ids), jobs.c.tenant == who.tenant, is_now(jobs.c.state, *LIVE))
        .order_by(jobs.c.id)
        .with_for_update()
        .cte("wanted")
    )
    cancelled = (
        update(jobs)
        .where(jobs.c.id == wanted.c.id, jobs.c.session_id == sessions.c.id)
        .values(**cancelling(CancelReason.OPERATOR))
        .returning(jobs.c.id, jobs.c.state, jobs.c.tool, jobs.c.queue, jobs.c.session_id, sessions.c.gateway_id)
        .cte("cancelled")
    )
    return recorded(cancelled, who, ActName.CANCEL, *_chosen(job_ids, chosen_by))


def rerun(
    who: Operator,
    job_ids: Collection[UUID],
    chosen_by: JobQuery | None = None,
    *,
    is_confirmed: bool = False,
    grace: float = PUBLISH_GRACE_SECONDS,
) -> Select[Any]:
    """Run finished calls once more. Returns `id`, `queue` and `rerun_of` of each new job, which is to be published.

    A call that may not be run (`facts`), or whose last rerun is not over (`live_rerun`), has no row.

    Args:
        chosen_by: the query that the calls matched, for the audit log; None: the one call was named.
        is_confirmed: whether the effect of an at_most_once tool may happen a second time.
        grace: seconds that the caller has to publish it, before a sweeper does; 0: the caller leaves it to that.
    """
    values: dict[str, Any] = {
        **{name: jobs.c[name] for name in _COPIED},
        "id": func.gen_random_uuid(),
        "call_id": func.concat("rerun_", func.gen_random_uuid()),
        "effect": _effect(),
        "rerun_of": _first(),
        "publish_after": now() + seconds(grace),
        "deadline_at": now() + seconds(time_for(jobs.c.timeout, jobs.c.max_attempts)),
    }
    source = (
        select(*values.values())
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(jobs.c.id.in_(job_ids), jobs.c.tenant == who.tenant, _may_run_again(is_confirmed))
        .with_for_update(read=True, of=sessions)  # a user who is erased meanwhile is erased with the rerun, or before
    )
    made = insert(jobs).from_select(list(values), source).on_conflict_do_nothing()
    returned = made.returning(jobs.c.id, jobs.c.queue, jobs.c.rerun_of).cte("made")
    return recorded(returned, who, ActName.RETRY, *_chosen(job_ids, chosen_by))


def decide(who: Operator, job_id: UUID, *, approved: bool) -> Select[Any]:
    """Approve or deny a call, as `approvals.decide`."""
    decided = approvals.deciding(job_id, who.tenant, approved=approved).cte("decided")
    return recorded(decided, who, ActName.APPROVE if approved else ActName.DENY, str(job_id))


def end_session(who: Operator, session_id: UUID) -> Select[Any]:
    """Ask one session to end, as `session_end.ask_to_end`. Returns the same; its calls are cancelled after that."""
    which = session_end.one_session(session_id, who.tenant)
    ended = session_end.ask_to_end(which, session_end.ENDED_BY_OPERATOR).cte("ended")
    return recorded(ended, who, ActName.END_SESSION, str(session_id))


def facts(tenant: str, job_id: UUID) -> Select[Any]:
    """Return the arguments of `ringback.jobs.deciding.why_no_rerun` for one job, but for `is_confirmed`."""
    is_sealed = jobs.c.sealed_arguments.is_not(None).label("is_sealed")
    return select(
        *(jobs.c.state, jobs.c.queue, jobs.c.arguments, jobs.c.approval, jobs.c.manners),
        _effect().label("effect"),
        is_sealed,
    ).where(jobs.c.id == job_id, jobs.c.tenant == tenant)


def live_rerun(tenant: str, job_id: UUID) -> Select[Any]:
    """Return `id` and `queue` of the rerun of a call that is not over."""
    first = select(_first()).where(jobs.c.id == job_id, jobs.c.tenant == tenant).scalar_subquery()
    again = jobs.alias("again")
    return select(again.c.id, again.c.queue).where(again.c.rerun_of == first, again.c.finished_at.is_(None))


def _chosen(job_ids: Collection[UUID], chosen_by: JobQuery | None) -> tuple[str, dict[str, Any] | None]:
    """Return target and filter, as the audit log keeps them."""
    if chosen_by is None:
        return ", ".join(map(str, job_ids)), None
    return "", chosen_by.model_dump(mode="json", exclude_defaults=True, exclude={"limit", "after"})


def _may_run_again(is_confirmed: bool) -> ColumnElement[bool]:
    redacts = func.jsonb_array_length(func.coalesce(jobs.c.manners["redact"], literal([], jobs.c.manners.type))) > 0
    return and_(
        is_now(jobs.c.state, *TERMINAL),
        jobs.c.queue != "",
        func.jsonb_typeof(jobs.c.arguments) == "object",
        jobs.c.approval.is_(None) | (jobs.c.approval == Approval.GRANTED),
        ~redacts | jobs.c.sealed_arguments.is_not(None),
        or_(literal(is_confirmed, Boolean), _effect() != Effect.AT_MOST_ONCE),
        sessions.c.end_wanted.is_distinct_from(session_end.ERASED),
    )


def _first() -> ColumnElement[Any]:
    """Return the call that was run first: of a rerun, and of a call that joined another."""
    return func.coalesce(jobs.c.rerun_of, jobs.c.joined_to, jobs.c.id)


def _effect() -> ColumnElement[Any]:
    """Return the tool's effect: at_most_once also if a worker has declared it so since the call was made."""
    named = worker_tools.c.name == jobs.c.tool
    is_so_now = exists(select(worker_tools.c.name).where(named, worker_tools.c.effect == Effect.AT_MOST_ONCE))
    return case((is_so_now, Effect.AT_MOST_ONCE.value), else_=jobs.c.effect)
