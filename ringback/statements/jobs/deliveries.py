"""Delivery of results: ready → sent → acked, or ready → acked at once; then spoken, and heard where that is known.

The gateway that owns the session in its present epoch reads what is ready, gives it to the conversation, and records
that behind the send. So it does with what it learns of the response that tells the result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from msgspec import Struct, structs
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Float,
    Select,
    Text,
    Uuid,
    all_,
    and_,
    case,
    column,
    func,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.jobs.states import IN_A_CONVERSATION, Delivery, HeardBy
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds, seconds_since, statement_time
from ringback.statements.json_order import in_order
from ringback.statements.processes import is_alive
from ringback.statements.row_state import is_now
from ringback.statements.sessions.lifecycle import held, is_ours, ours
from ringback.tables import jobs, sessions

TAKE_AT_ONCE = 32
"""Results read in one statement. A session has few; the next look reads the rest."""
NOW: Mapping[UUID, float] = MappingProxyType({})
_ANSWER = (
    *(jobs.c.id, jobs.c.call_id, jobs.c.tool),
    *(jobs.c.state, in_order(jobs.c.result), jobs.c.sealed_result, jobs.c.error, jobs.c.cancel_reason),
)


def read_ready(session_id: UUID, gateway_id: str, epoch: int, given: Collection[UUID] = ()) -> Bound:
    """Return the results that are ready and that the conversation of this epoch was not given.

    0 rows: there is none, this gateway no longer owns the session in this epoch, or its lease has run out. If an epoch
    begins meanwhile, these rows still say `ready`, as `mark` changes none of them, and the new epoch has them.

    Args:
        given: jobs whose result the conversation was given, and whose row may not say so yet.
    """
    return _read_ready(session_id, gateway_id, epoch, list(given))


def read_all_ready(each: Sequence[Bound]) -> Bound:
    """Return what each of these `read_ready` would, in one statement, for sessions of one gateway."""
    runs = [one.given for one in each]
    session_ids, epochs = [run["session_id"] for run in runs], [run["epoch"] for run in runs]
    return _read_all_ready(runs[0]["gateway_id"], session_ids, epochs, [job for run in runs for job in run["given"]])


@statement
def _read_ready(session_id: UUID, gateway_id: str, epoch: int, given: list[UUID]) -> Select[Any]:
    mine = is_ours(session_id, gateway_id, epoch)
    return _ready(given).join(sessions, sessions.c.id == jobs.c.session_id).where(mine, is_alive(gateway_id))


@statement
def _read_all_ready(gateway_id: str, session_ids: list[UUID], epochs: list[int], given: list[UUID]) -> Select[Any]:
    mine = ours(gateway_id, session_ids, epochs).where(is_alive(gateway_id)).cte("mine")
    ready = _ready(given).where(jobs.c.session_id == mine.c.id).lateral("ready")
    return select(ready).select_from(mine.join(ready, true()))


def _ready(given: list[UUID]) -> Select[Any]:
    """Select what is ready and was not given."""
    return (
        select(jobs.c.session_id, *_ANSWER, seconds_since(jobs.c.finished_at).label("age"))
        .where(
            jobs.c.delivery == Delivery.READY,
            jobs.c.id != all_(type_coerce(given, ARRAY(Uuid))),
        )
        # The first that ended comes first. By id, Postgres would rather read the primary key than the few ready ones.
        .order_by(jobs.c.finished_at, jobs.c.id)
        .limit(TAKE_AT_ONCE)
    )


def mark(
    session_id: UUID,
    gateway_id: str,
    epoch: int,
    given: Collection[UUID],
    echoed: Collection[UUID] = (),
    position: int | None = None,
    ages: Mapping[UUID, float] = NOW,
) -> Bound:
    """Mark results as sent into the conversation of this epoch, and those as acknowledged that the server echoed.

    Idempotent. 0 rows: the rows say so already, or the session is no longer this gateway's in this epoch.

    Args:
        given: every result that the conversation was given; those of `echoed` are among them.
        position: position of the conversation at the last echo (`items.position`).
        ages: how many seconds ago each was given; one that is left out: just now.
    """
    jobs_given = list(given)
    return _mark(
        gateway_id,
        [session_id],
        [epoch],
        [session_id] * len(jobs_given),
        jobs_given,
        [job_id in echoed for job_id in jobs_given],
        [position] * len(jobs_given),
        [ages.get(job_id, 0.0) for job_id in jobs_given],
    )


@statement
def _mark(
    gateway_id: str,
    session_ids: list[UUID],
    epochs: list[int],
    given_to: list[UUID],
    given: list[UUID],
    are_echoed: list[bool],
    positions: list[int | None],
    ages: list[float],
) -> ReturningUpdate[Any]:
    mine = held(gateway_id, session_ids, epochs)
    columns: dict[str, tuple[Any, Any]] = {
        "session_id": (given_to, Uuid()),
        "job_id": (given, Uuid()),
        "is_echoed": (are_echoed, Boolean()),
        "position": (positions, BigInteger()),
        "age": (ages, Float()),
    }
    lists = (type_coerce(values, ARRAY(kind)) for values, kind in columns.values())
    news = func.unnest(*lists).table_valued(*(column(name, kind) for name, (_, kind) in columns.items()))
    news = news.render_derived("news")
    told = (
        select(jobs.c.id, mine.c.epoch, news.c.is_echoed, news.c.position, news.c.age)
        .select_from(news.join(jobs, jobs.c.id == news.c.job_id).join(mine, mine.c.id == news.c.session_id))
        .where(
            # Written so that no other index fits: Postgres would rather read all calls of the session than these few.
            jobs.c.session_id.is_not_distinct_from(mine.c.id),
            is_now(jobs.c.delivery, Delivery.READY)
            | (is_now(jobs.c.delivery, Delivery.SENT) & (jobs.c.delivered_epoch == mine.c.epoch) & news.c.is_echoed),
        )
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("told")
    )
    return (
        update(jobs)
        .where(jobs.c.id == told.c.id)
        .values(
            delivery=case((told.c.is_echoed, Delivery.ACKED), else_=Delivery.SENT),
            delivered_epoch=told.c.epoch,
            answer_position=case((told.c.is_echoed, told.c.position), else_=jobs.c.answer_position),
            given_at=func.coalesce(jobs.c.given_at, now() - seconds(told.c.age)),
        )
        .returning(jobs.c.session_id, jobs.c.id)
    )


class Told(Struct, frozen=True):
    """What is known of a response that tells a result. Times are seconds of the session's own clock.

    Args:
        job_id: the job whose result it tells.
        answer_id: the server's id of the response.
        began_at: when the response began; `spoken_at`: when its first audio or text went to the client.
        heard_at: when the user had heard its first second, or all of it; None: they have not, or it is not known.
        heard_by: how that is known (`HeardBy`); None: the response is still being said.
        audio_ms: how long it sounds; None for text, and until it has ended.
        played_ms: how much of it the user heard; None where that is not known.
    """

    job_id: UUID
    answer_id: str
    began_at: float
    spoken_at: float
    heard_at: float | None = None
    heard_by: HeardBy | None = None
    audio_ms: float | None = None
    played_ms: float | None = None


def note_told(session_id: UUID, gateway_id: str, epoch: int, told: Iterable[Told], clock: float) -> Bound:
    """Note that responses tell results, and what the user heard of them: the rows say `spoken`, or `heard`.

    If several responses tell a result, the row keeps the last one, or the first that was heard. Idempotent. Returns
    `session_id`, `id`, `tool`, `queue`, `is_new` (it is heard from now on) and `waited` (seconds from the job's end
    until then) of each row that it changed. 0 rows: no conversation has the result, as far as the rows say, or the
    session is no longer this gateway's in this epoch.

    Args:
        clock: the present time by the session's own clock.
    """
    news = [
        {
            **structs.asdict(each),
            "session_id": str(session_id),
            "job_id": str(each.job_id),
            "began": clock - each.began_at,
            "spoken": clock - each.spoken_at,
            "heard": None if each.heard_at is None else clock - each.heard_at,
        }
        for each in _one_a_job(told)
    ]
    return _note_told(gateway_id, [session_id], [epoch], news)


def _one_a_job(told: Iterable[Told]) -> Iterable[Told]:
    """Return of each job the response that its row is to keep: of several rows to join, Postgres takes any."""

    def weight(each: Told) -> tuple[bool, float]:
        return each.heard_at is not None, each.began_at if each.heard_at is None else -each.heard_at

    return {each.job_id: each for each in sorted(told, key=weight)}.values()


@statement
def _note_told(
    gateway_id: str, session_ids: list[UUID], epochs: list[int], told: list[dict[str, Any]]
) -> ReturningUpdate[Any]:
    mine = held(gateway_id, session_ids, epochs)
    numbers = [column(name, Float) for name in ("began", "spoken", "heard", "audio_ms", "played_ms")]
    ids = [column("session_id", Uuid), column("job_id", Uuid), column("answer_id", Text)]
    names = [*ids, column("heard_by", Text)]
    news = func.jsonb_to_recordset(type_coerce(told, JSONB)).table_valued(*names, *numbers)
    news = news.render_derived("news", with_types=True)
    began_at = statement_time() - seconds(news.c.began)
    is_over = jobs.c.heard_at.is_not(None)
    before = (
        select(jobs.c.id, is_over.label("was_heard"), began_at.label("began_at"), *news.c)
        .select_from(news.join(jobs, jobs.c.id == news.c.job_id).join(mine, mine.c.id == news.c.session_id))
        .where(
            jobs.c.session_id.is_not_distinct_from(mine.c.id),  # As in `mark`: no index of the session's calls fits.
            jobs.c.delivery.in_(IN_A_CONVERSATION),
            or_(
                jobs.c.answer_id.is_(None),
                jobs.c.answer_id == news.c.answer_id,
                and_(~is_over, jobs.c.answer_began_at < began_at),
            ),
        )
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("before")
    )
    is_heard = or_(before.c.heard.is_not(None), before.c.was_heard)
    is_same = jobs.c.answer_id == before.c.answer_id
    return (
        update(jobs)
        .where(jobs.c.id == before.c.id)
        .values(
            delivery=case((is_heard, Delivery.HEARD), else_=Delivery.SPOKEN),
            answer_id=before.c.answer_id,
            answer_began_at=case((is_same, jobs.c.answer_began_at), else_=before.c.began_at),
            spoken_at=case((is_same, jobs.c.spoken_at), else_=statement_time() - seconds(before.c.spoken)),
            heard_at=func.coalesce(jobs.c.heard_at, statement_time() - seconds(before.c.heard)),
            heard_by=func.coalesce(before.c.heard_by, case((is_same, jobs.c.heard_by))),
            audio_ms=func.coalesce(before.c.audio_ms, case((is_same, jobs.c.audio_ms))),
            played_ms=func.coalesce(before.c.played_ms, case((is_same, jobs.c.played_ms))),
        )
        .returning(
            *(jobs.c.session_id, jobs.c.id, jobs.c.tool, jobs.c.queue),
            and_(is_heard, ~before.c.was_heard).label("is_new"),
            func.extract("epoch", jobs.c.heard_at - jobs.c.finished_at).label("waited"),
        )
    )
