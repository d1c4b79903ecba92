"""Admission of a call as a row: pending, waiting for approval, joined to the same running call, or finished at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    Select,
    Text,
    Uuid,
    case,
    column,
    func,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import Approval, Delivery, Effect, JobState
from ringback.postgres.statement import Bound, Statement, as_records, statement
from ringback.statements.clock import now, seconds, statement_time
from ringback.statements.json_order import with_order
from ringback.statements.sessions.lifecycle import is_ours
from ringback.tables import jobs, sessions
from ringback.tools.spec import ToolSpec

PUBLISH_GRACE_SECONDS = 2.0
"""Time that the gateway has to publish the job itself before a sweeper publishes it too."""
EARLY_SECONDS = 0.25
"""How much earlier than its row a job's message may come: a worker looks for the row for longer than that."""
QUEUE_WAIT_SECONDS = 30.0
"""Time that a call may wait for a free worker, on top of the time its attempts may take."""


class NewJob(Struct, frozen=True):
    """Call to be recorded. `tool` is None if the model asked for a tool that no worker serves."""

    id: UUID
    session_id: UUID
    call_id: str
    response_id: str | None
    name: str
    arguments: Any
    tool: ToolSpec | None = None
    item_id: str | None = None
    """Id of the `function_call` item."""
    position: int | None = None
    """Position of that item in the conversation (`items.position`)."""
    joined_to: UUID | None = None
    """Id of the running call with the same arguments; this call ends as that one does."""
    needs_approval: bool = False
    """True if the job is not published before `approvals.decide` grants it. Its deadline until then is
    `approval_seconds`.

    A call that joins another needs no approval: the first call has asked for it.
    """


def time_for(timeout: Any, attempts: Any) -> Any:
    """Return the seconds from when a job may run until its deadline. Takes numbers or columns."""
    return QUEUE_WAIT_SECONDS + timeout * attempts


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted arguments and result, if the plain columns show less than the whole
    (`ringback.privacy.row_privacy`).
    """

    arguments: bytes | None = None
    result: bytes | None = None


def admit(job: NewJob, gateway_id: str, epoch: int, outcome: Outcome | None = None, sealed: Sealed = Sealed()) -> Bound:
    """Record a call, once, for a session that this gateway owns in this epoch.

    0 rows: the call is recorded already, or the session has moved on. With an `outcome` the job is inserted as finished
    and its result as ready. That holds for a call that the gateway refused, and for one that it serves itself. If the
    call joins one that has ended meanwhile, a trigger finishes it with the same outcome.
    """
    tool, is_over = job.tool, outcome is not None
    timeout, attempts = (tool.timeout, tool.retries + 1) if tool else (0.0, 1)
    waits = job.needs_approval and tool is not None and job.joined_to is None and not is_over
    return _admit(
        session_id=job.session_id,
        gateway_id=gateway_id,
        epoch=epoch,
        id=job.id,
        call_id=job.call_id,
        response_id=job.response_id,
        item_id=job.item_id,
        position=job.position,
        tool=job.name,
        queue=tool.queue if tool else "",
        arguments=job.arguments,
        sealed_arguments=sealed.arguments,
        sealed_result=sealed.result,
        manners=tool.behavior.as_data() if tool else {},
        effect=tool.effect if tool else Effect.PURE,
        timeout=timeout,
        max_attempts=attempts,
        is_published=not waits and job.joined_to is None,
        seconds_left=tool.behavior.approval_seconds if tool and waits else time_for(timeout, attempts),
        joined_to=job.joined_to,
        approval=Approval.REQUESTED if waits else None,
        state=outcome.state if outcome else JobState.PENDING,
        result=outcome.result if outcome and outcome.error is None else None,
        error=outcome.error if outcome else None,
        is_over=is_over,
        delivery=Delivery.READY if is_over else Delivery.NONE,
    )


def admit_all(each: Sequence[Bound]) -> Bound:
    """Record calls of sessions of one gateway in one statement, each as its `admit` says; return `id` of the new ones.

    It waits for no lock, so a session that is locked holds up no other: its call is left out. A call of which no `id`
    is returned is to be admitted alone. So is one that joins another (`goes_alone`).
    """
    return _admit_all(each[0].given["gateway_id"], as_records(each))


def goes_alone(job: NewJob) -> bool:
    """Return True if the admission of the call may wait for another row: for the call that it joins."""
    return job.joined_to is not None


_AS_GIVEN = (
    *("id", "call_id", "response_id", "item_id", "position", "tool", "queue", "manners", "effect", "timeout"),
    *("max_attempts", "joined_to", "approval", "state", "error", "delivery", "sealed_arguments", "sealed_result"),
)
"""Columns whose values are arguments as they are."""
_OF_SESSION = {"session_id": "id", "tenant": "tenant", "epoch": "epoch"}
"""Columns whose values are those of the session."""


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a call's row, beside those that its session gives it."""
    over = type_coerce(given["is_over"], Boolean)
    published = type_coerce(given["is_published"], Boolean)
    return {
        **{name: type_coerce(given[name], jobs.c[name].type) for name in _AS_GIVEN},
        **with_order(jobs.c.arguments, given["arguments"]),
        **with_order(jobs.c.result, given["result"]),
        "publish_after": case((published, now() + seconds(PUBLISH_GRACE_SECONDS))),
        "deadline_at": now() + seconds(given["seconds_left"]),
        "created_at": case((over, statement_time()), else_=now()),
        "finished_at": case((over, statement_time())),
    }


def _session(session_id: Any, gateway_id: str, epoch: Any, *, may_skip: bool = False) -> Select[Any]:
    """Select the session and lock it. An epoch that begins meanwhile waits for this and includes the call; or this
    waits, or skips the session, and records no row.
    """
    mine = select(*(sessions.c[name] for name in _OF_SESSION.values())).where(is_ours(session_id, gateway_id, epoch))
    return mine.with_for_update(read=True, of=sessions, skip_locked=may_skip)


def _inserted(source: Select[Any], names: Iterable[str]) -> ReturningInsert[Any]:
    return (
        insert(jobs)
        .from_select([*_OF_SESSION, *names], source)
        .on_conflict_do_nothing(index_elements=["session_id", "call_id"])
        .returning(jobs.c.id)
    )


def _insert(**given: Any) -> ReturningInsert[Any]:
    values = _values(given)
    session = _session(given["session_id"], given["gateway_id"], given["epoch"])
    return _inserted(session.add_columns(*values.values()), values)


_OTHERS: dict[str, Any] = {
    "session_id": Uuid(),
    "gateway_id": Text(),
    "epoch": BigInteger(),
    "arguments": JSON(),
    "result": JSON(),
    "is_published": Boolean(),
    "seconds_left": Float(),
    "is_over": Boolean(),
}
_admit = Statement(_insert, (*_AS_GIVEN, *_OTHERS))


@statement
def _admit_all(gateway_id: str, calls: list[dict[str, Any]]) -> ReturningInsert[Any]:
    kinds: dict[str, Any] = {**{name: jobs.c[name].type for name in _AS_GIVEN}, **_OTHERS}
    news = func.json_to_recordset(type_coerce(calls, JSON))
    call = news.table_valued(*(column(name, kind) for name, kind in kinds.items()))
    call = call.render_derived("call", with_types=True)
    # By its key for each call, however few sessions there are: so Postgres locks those alone.
    session = _session(call.c.session_id, gateway_id, call.c.epoch, may_skip=True).lateral("session")
    values = _values(dict(call.c))
    return _inserted(select(session, *values.values()).select_from(call.join(session, true())), values)
