"""Rows of recordings: both voices of a session, in pieces of some seconds (`ringback.recordings`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Delete,
    Integer,
    LargeBinary,
    Select,
    Text,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert as insert_once
from sqlalchemy.sql.dml import ReturningInsert

from ringback.history.operators import ActName
from ringback.postgres.statement import Bound, statement
from ringback.recordings.audio import PIECE_MS_AT_MOST, Piece
from ringback.statements.clock import seconds, statement_time
from ringback.statements.operators.audit import Operator
from ringback.statements.session_end import ERASED
from ringback.tables import audit, recordings, sessions

DELETED_AT_ONCE = 200
"""Pieces of one statement, 50 MB: it takes a fraction of a second."""
LISTENS_SECONDS = 3_600.0
"""A player asks for a recording in many parts: within an hour they are one act."""
_KEY = (recordings.c.session_id, recordings.c.from_ms, recordings.c.voice, recordings.c.epoch)


def save(session_id: UUID, pieces: Sequence[Piece]) -> Bound:
    """Insert pieces. Returns a row for each that is in the table then; 0 rows: the session is gone, or to be erased."""
    columns = {
        name: [getattr(piece, name) for piece in pieces] for name in ("voice", "epoch", "from_ms", "ms", "codec")
    }
    sounds, drawings = [piece.audio for piece in pieces], [piece.loudness for piece in pieces]
    return _save(
        session_id,
        rate=[piece.rate for piece in pieces],
        audio=b"".join(sounds),
        audio_size=list(map(len, sounds)),
        loudness=b"".join(drawings),
        loudness_size=list(map(len, drawings)),
        **columns,
    )


@statement
def _save(
    session_id: UUID,
    *,
    voice: list[str],
    epoch: list[int],
    from_ms: list[int],
    ms: list[int],
    codec: list[str],
    rate: list[int],
    audio: bytes,
    audio_size: list[int],
    loudness: bytes,
    loudness_size: list[int],
) -> ReturningInsert[Any]:
    """Insert pieces whose audio stands one after the other in `audio`: psycopg would write a list of it as text, which
    takes a hundred times as long and holds up the event loop meanwhile."""
    given = {
        "voice": cast(voice, ARRAY(Text)),
        "epoch": cast(epoch, ARRAY(BigInteger)),
        "from_ms": cast(from_ms, ARRAY(BigInteger)),
        "ms": cast(ms, ARRAY(BigInteger)),
        "codec": cast(codec, ARRAY(Text)),
        "rate": cast(rate, ARRAY(Integer)),
        "audio_size": cast(audio_size, ARRAY(Integer)),
        "loudness_size": cast(loudness_size, ARRAY(Integer)),
    }
    pieces = func.unnest(*given.values()).table_valued(*given, with_ordinality="number").render_derived("pieces")

    def part(whole: bytes, size: ColumnElement[Any]) -> ColumnElement[Any]:
        so_far = func.sum(size).over(order_by=pieces.c.number)
        return func.substring(cast(whole, LargeBinary), cast(so_far - size + 1, Integer), size)

    names = ("voice", "epoch", "from_ms", "ms", "codec", "rate")
    values: dict[str, ColumnElement[Any]] = {name: pieces.c[name] for name in names}
    values["audio"] = part(audio, pieces.c.audio_size)
    values["loudness"] = part(loudness, pieces.c.loudness_size)
    parts = select(*(value.label(name) for name, value in values.items())).cte("parts")
    source = (
        select(sessions.c.id, sessions.c.tenant, *parts.c)
        .select_from(sessions.join(parts, true()))
        .where(sessions.c.id == session_id, sessions.c.end_wanted.is_distinct_from(ERASED))
        .with_for_update(read=True, key_share=True, of=sessions)
    )
    writing = insert_once(recordings).from_select(["session_id", "tenant", *values], source)
    kept = writing.on_conflict_do_update(  # it was written, and the answer was lost
        index_elements=list(recordings.primary_key.columns), set_={"ms": writing.excluded.ms}
    )
    return kept.returning(recordings.c.from_ms)


@statement
def extent(tenant: str, session_id: UUID) -> Select[Any]:
    """Select how long a session's recording is, `ms`, and its highest `rate`; both null if there is none."""
    ends = func.max(recordings.c.from_ms + recordings.c.ms).label("ms")
    return select(ends, func.max(recordings.c.rate).label("rate")).where(_of(tenant, session_id))


@statement
def outline(tenant: str, session_id: UUID) -> Select[Any]:
    """Select the pieces of a recording without their audio, in order."""
    shown = (recordings.c.voice, recordings.c.from_ms, recordings.c.ms, recordings.c.codec, recordings.c.loudness)
    return select(*shown).where(_of(tenant, session_id)).order_by(*_KEY[1:])


@statement
def pieces_between(tenant: str, session_id: UUID, from_ms: int, until_ms: int) -> Select[Any]:
    """Select the pieces of a recording that sound in this time, in order."""
    reaches_in = recordings.c.from_ms.between(from_ms - PIECE_MS_AT_MOST, until_ms)
    shown = (recordings.c.voice, recordings.c.from_ms, recordings.c.codec, recordings.c.rate, recordings.c.audio)
    return select(*shown).where(_of(tenant, session_id), reaches_in).order_by(*_KEY[1:])


def note_listener(who: Operator, session_id: UUID) -> ReturningInsert[Any]:
    """Record in the audit log that an operator listens to a session; once an hour for each of their credentials."""
    act, target = ActName.LISTEN.value, str(session_id)
    before = select(audit.c.id).where(
        audit.c.tenant == who.tenant,
        audit.c.act == act,
        audit.c.target == target,
        audit.c.credential == who.credential,
        audit.c.at > statement_time() - seconds(LISTENS_SECONDS),
    )
    told = {
        "tenant": who.tenant,
        "subject": who.subject,
        "credential": who.credential,
        "act": act,
        "target": target,
        "rows": 1,
    }
    row = select(*(literal(value) for value in told.values()), literal(who.reason, Text)).where(~exists(before))
    return insert(audit).from_select([*told, "reason"], row).returning(audit.c.id)


@statement
def delete_old(days: int) -> Delete:
    """Delete a bounded number of pieces that are older than so many days."""
    limit = statement_time() - func.make_interval(0, 0, 0, type_coerce(days, Integer))
    return _delete(recordings.c.at < limit, recordings.c.at)


def delete_of(owners: Select[Any]) -> Delete:
    """Delete a bounded number of pieces of these sessions (`select(sessions.c.id)`)."""
    return _delete(recordings.c.session_id.in_(owners), recordings.c.session_id)


def is_recorded() -> ColumnElement[bool]:
    """Return true for a session that has pieces of a recording."""
    return exists(select(recordings.c.ms).where(recordings.c.session_id == sessions.c.id))


def _delete(which: ColumnElement[bool], order: ColumnElement[Any]) -> Delete:
    pieces = select(*_KEY).where(which).order_by(order).limit(DELETED_AT_ONCE).with_for_update(skip_locked=True)
    return delete(recordings).where(tuple_(*_KEY).in_(pieces))


def _of(tenant: str, session_id: UUID) -> ColumnElement[bool]:
    return (recordings.c.tenant == tenant) & (recordings.c.session_id == session_id)
