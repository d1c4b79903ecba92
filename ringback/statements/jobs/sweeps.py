"""Sweeps that each process runs for all: publish again, take back, time out. Any number may sweep at once.

Each statement skips rows that another sweeper holds (`FOR UPDATE SKIP LOCKED`). It takes a bounded number, in the order
of the index that finds them: in any other order Postgres would sort all rows, or walk the table.

A round runs those that have work (`ringback.statements.looks`). Each reads the same rows as its flag.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Update,
    and_,
    case,
    cast,
    exists,
    func,
    null,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import LIVE, Approval, Delivery, Effect, JobState
from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds, statement_time
from ringback.statements.jobs.transitions import may_be_published
from ringback.statements.processes import is_alive, is_steady
from ringback.statements.row_state import is_waiting
from ringback.statements.sessions.lifecycle import OWNED
from ringback.tables import UNFINISHED, jobs, sessions

AT_ONCE = 200
"""Rows of one sweep. A backlog is worked off in steps, so that no sweep holds locks for long."""
AGAIN_AT_ONCE = 1_000
"""Rows that one statement makes due again after Redis has lost its messages: some 30 ms, so that no claim waits longer.
"""
TAKEN_AT_ONCE = 50
"""Messages of one queue that a lost worker may have taken and not claimed. If it had not, each is in the queue twice:
the longer the queue, the longer a new call waits behind messages that no worker needs.
"""
REPUBLISH_SECONDS = 2.0
"""First pause before an unclaimed job is published again; doubled up to 32 s."""
MAX_RESCUES = 2
"""Rescues after which a job ends as dead: it is assumed to have killed the three workers that it was on."""
LONGEST_CALL_SECONDS = 3_600.0
"""How long a call that no gateway has taken may still go on at the Realtime API, and so has to be hung up."""
FENCE_GRACE_SECONDS = 1.0
"""A worker reports its own time-out first. The sweeper's is for a worker that cannot."""


NOT_RESUMED = "not_resumed"

_ENDED = (jobs.c.id, jobs.c.session_id, jobs.c.tool, jobs.c.queue, jobs.c.state)


@statement
def publish_due() -> ReturningUpdate[Any]:
    """Return pending jobs whose message is due: publish each, after the commit."""
    due = _some(due_jobs(), jobs.c.publish_after)
    pause = REPUBLISH_SECONDS * func.power(2.0, func.least(jobs.c.publish_count, 4))
    return (
        update(jobs)
        .where(jobs.c.id == due.c.id)
        .values(publish_count=jobs.c.publish_count + 1, publish_after=now() + seconds(pause))
        .returning(jobs.c.id, jobs.c.queue)
    )


@statement
def take_back_lost(sweeper_id: str) -> ReturningUpdate[Any]:
    """Take running jobs back from workers without a lease: another attempt, or the end that fits."""
    lost = _some(lost_jobs(sweeper_id), jobs.c.worker_id)
    begun = and_(jobs.c.effect == Effect.AT_MOST_ONCE, jobs.c.effect_started)
    poisonous = jobs.c.rescues >= MAX_RESCUES
    state = case(
        (begun, JobState.UNKNOWN),
        (jobs.c.cancel_requested, JobState.CANCELLED),
        (poisonous, JobState.DEAD),
        else_=JobState.PENDING,
    )
    code = case((begun, "outcome_unknown"), (jobs.c.cancel_requested, "cancelled"), else_="worker_lost")
    ended = _end(lost, state, code, or_(begun, jobs.c.cancel_requested, poisonous))
    return ended.values(rescues=jobs.c.rescues + 1).returning(*_ENDED)


@statement
def time_out_overdue() -> ReturningUpdate[Any]:
    """Time out jobs past their deadline, running or not: the model is answered, and a late worker is fenced.

    A call that has joined another ends with that one, in the same statement, and is not counted here.
    """
    overdue = _some(overdue_jobs(), jobs.c.deadline_at)
    begun = and_(jobs.c.effect == Effect.AT_MOST_ONCE, jobs.c.effect_started)
    state = case((begun, JobState.UNKNOWN), else_=JobState.TIMED_OUT)
    unapproved = jobs.c.approval == Approval.REQUESTED
    code = case((begun, "outcome_unknown"), (unapproved, "approval_expired"), else_="timed_out")
    return _end(overdue, state, code, true()).returning(*_ENDED)


@statement
def release_lost_sessions(sweeper_id: str) -> ReturningUpdate[Any]:
    """Release the sessions of gateways without a lease: a client may resume those it can, and the others are over."""
    lost = _some(lost_sessions(sweeper_id), sessions.c.gateway_id)
    # A call that is asked to end has to be hung up, by a gateway that takes it.
    ends = sessions.c.end_wanted.is_not(None) & sessions.c.call_id.is_(None)
    over = sessions.c.resume_seconds.is_(None) | ends
    return (
        update(sessions)
        .where(sessions.c.id == lost.c.id)
        .values(
            state=case((over, "ended"), else_="detached"),
            ended_at=case((over, now())),
            end_reason=case((over, "gateway_lost")),
            resume_until=now() + seconds(sessions.c.resume_seconds),
        )
        .returning(sessions.c.id, sessions.c.state)
    )


@statement
def end_unresumed() -> ReturningUpdate[Any]:
    """End detached sessions whose client did not come back in time. A call is asked to end: who takes it hangs up."""
    waiting = _some(unresumed_sessions(), sessions.c.resume_until)
    over = ~_may_be_live()
    return (
        update(sessions)
        .where(sessions.c.id == waiting.c.id)
        .values(
            state=case((over, "ended"), else_=sessions.c.state),
            ended_at=case((over, now())),
            end_reason=case((over, NOT_RESUMED)),
            end_wanted=case((over, sessions.c.end_wanted), else_=func.coalesce(sessions.c.end_wanted, NOT_RESUMED)),
            resume_hash=None,
        )
        .returning(sessions.c.id)
    )


@statement
def publish_again() -> ReturningUpdate[Any]:
    """Make published jobs due again, also those a gateway has just published: Redis may have lost every message.

    Run it until fewer than `AGAIN_AT_ONCE` rows come back.
    """
    published = (
        select(jobs.c.id)
        .where(jobs.c.state == JobState.PENDING, jobs.c.publish_after > statement_time())
        .where(jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()))
        .order_by(jobs.c.publish_after)
    )
    return _due_at_once(published, AGAIN_AT_ONCE)


@statement
def publish_taken(queue: str) -> ReturningUpdate[Any]:
    """Make the oldest jobs of a queue due: a lost worker may have taken their messages from its front."""
    published = (
        select(jobs.c.id)
        .where(is_waiting(), jobs.c.queue == queue, may_be_published(), jobs.c.publish_count > 0)
        .order_by(jobs.c.created_at)
    )
    return _due_at_once(published, TAKEN_AT_ONCE)


@statement
def keep_late_results() -> Update:
    """Keep results for the history that became ready while their session ended."""
    late = _some(late_results(), jobs.c.session_id)
    return update(jobs).where(jobs.c.id == late.c.id).values(delivery=Delivery.HISTORY_ONLY)


# — the rows that each of them is about —


def due_jobs() -> Select[Any]:
    """Select the jobs that `publish_due` takes."""
    return select(jobs.c.id).where(jobs.c.state == JobState.PENDING, jobs.c.publish_after <= statement_time())


def lost_jobs(sweeper_id: str) -> Select[Any]:
    """Select the jobs that `take_back_lost` takes back."""
    running = jobs.c.state == JobState.RUNNING
    lost = _without_lease(jobs.c.worker_id, running)
    return select(jobs.c.id).where(running, jobs.c.worker_id.in_(lost), is_steady(sweeper_id))


def overdue_jobs() -> Select[Any]:
    """Select the jobs that `time_out_overdue` times out."""
    return select(jobs.c.id).where(
        text(UNFINISHED),
        jobs.c.deadline_at < statement_time() - seconds(FENCE_GRACE_SECONDS),
        ~_ends_with_another(),
    )


def lost_sessions(sweeper_id: str) -> Select[Any]:
    """Select the sessions that `release_lost_sessions` releases."""
    owned = sessions.c.state.in_(OWNED)
    lost = _without_lease(sessions.c.gateway_id, owned)
    return select(sessions.c.id).where(owned, sessions.c.gateway_id.in_(lost), is_steady(sweeper_id))


def unresumed_sessions() -> Select[Any]:
    """Select the sessions that `end_unresumed` ends."""
    waits_for_gateway = _may_be_live() & sessions.c.end_wanted.is_not(None)
    return select(sessions.c.id).where(
        sessions.c.state == "detached", sessions.c.resume_until <= statement_time(), ~waits_for_gateway
    )


def late_results() -> Select[Any]:
    """Select the jobs whose results `keep_late_results` keeps."""
    return (
        select(jobs.c.id)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(jobs.c.delivery == Delivery.READY, sessions.c.state == "ended")
    )


def _may_be_live() -> ColumnElement[bool]:
    """Return true for a call that may still go on at the Realtime API, although no gateway took it in time."""
    return sessions.c.call_id.is_not(None) & (sessions.c.resume_until > now() - seconds(LONGEST_CALL_SECONDS))


def _without_lease(holder: ColumnElement[Any], held: ColumnElement[bool]) -> Select[Any]:
    """Select the processes that hold such rows without a lease: one index look-up for each process, not for each row.

    Args:
        holder: the column that names the process; an index with the condition `held` begins with it.
    """
    first = select(func.min(holder).label("id")).where(held).cte(f"holders_of_{holder.table}", recursive=True)
    following = select(func.min(holder)).where(held, holder > first.c.id).scalar_subquery()
    holders = first.union_all(select(following).where(first.c.id.is_not(None)))
    return select(holders.c.id).where(holders.c.id.is_not(None), ~is_alive(holders.c.id))


def _end(rows: CTE, state: ColumnElement[Any], code: ColumnElement[Any], over: ColumnElement[bool]) -> Update:
    """Set the state of every row; if the row is over, also its error, its time and its delivery."""
    error = func.jsonb_build_object("code", code)
    return (
        update(jobs)
        .where(jobs.c.id == rows.c.id)
        .values(
            state=state,
            token=None,
            error=cast(error, JSONB),
            publish_after=now(),
            finished_at=case((over, now()), else_=null()),
            delivery=case((over, Delivery.READY), else_=Delivery.NONE),
        )
    )


def _ends_with_another() -> ColumnElement[bool]:
    """Return true for a joined call while the first is not over: two sweepers that each held one would deadlock."""
    first = jobs.alias("first")
    return exists(select(first.c.id).where(first.c.id == jobs.c.joined_to, first.c.state.in_(sorted(LIVE))))


def _due_at_once(rows: Select[Any], limit: int) -> ReturningUpdate[Any]:
    gone = rows.limit(limit).with_for_update(skip_locked=True).cte("gone")
    return update(jobs).where(jobs.c.id == gone.c.id).values(publish_after=now()).returning(jobs.c.id)


def _some(rows: Select[Any], in_order_of: ColumnElement[Any]) -> CTE:
    """Select a bounded number of the rows that no other sweeper holds, in the order of an index.

    A CTE that locks is evaluated once. A subquery is not: a plan that runs it for each row finds the next rows each
    time, and the bound is lost.
    """
    table = in_order_of.table
    return rows.order_by(in_order_of).limit(AT_ONCE).with_for_update(of=table, skip_locked=True).cte("some")
