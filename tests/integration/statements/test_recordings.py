"""Recordings in their rows: written once, read by their time, and deleted with time, session and user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text, update

from ringback.recordings.audio import Codec, Piece, Voice
from ringback.statements import erasure, retention
from ringback.statements import recordings as statements
from ringback.statements.operators.audit import Operator
from ringback.tables import audit, recordings, sessions
from tests.integration.statements.statement_rows import Rows, seconds_from_now, world
from tests.integration.statements.test_sweeps_stay_cheap import pages, plan

DAY = 86_400
PAGES_A_PIECE = 12
"""Of its row, its audio and its two indexes, and to find them."""
ADA = Operator("default", "ada", "token:ada")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def piece(from_ms: int = 0, voice: Voice = Voice.CALLER, epoch: int = 1, audio: bytes = b"\x00\x01\xff'\\") -> Piece:
    return Piece(voice, epoch, from_ms, 2_000, Codec.PCM, 24_000, audio, b"\x00\x7f")


def number(rows: Rows) -> int:
    return int(rows.run(select(func.count()).select_from(recordings))[0][0])


def another(rows: Rows, *, ended_days_ago: float | None = None, tenant: str = "default", user: str = "bob") -> UUID:
    session = uuid4()
    rows.count(insert(sessions).values(id=session, tenant=tenant, user_id=user, agent="demo"))
    assert rows.count(statements.save(session, [piece(), piece(2_000)])) == 2
    if ended_days_ago is not None:
        over = {"state": "ended", "ended_at": seconds_from_now(-ended_days_ago * DAY)}
        rows.count(update(sessions).where(sessions.c.id == session).values(**over))
    return session


def test_what_is_written_is_read_as_it_was(rows: Rows) -> None:
    kept = [piece(), piece(0, Voice.MODEL, audio=bytes(range(256)) * 900), piece(2_000)]
    assert rows.count(statements.save(rows.session, kept)) == 3
    found = rows.run(statements.pieces_between("default", rows.session, 0, 5_000))
    assert [(row.voice, row.from_ms, row.codec, row.rate, bytes(row.audio)) for row in found] == [
        (each.voice, each.from_ms, each.codec, each.rate, each.audio) for each in kept
    ]
    outline = rows.run(statements.outline("default", rows.session))
    assert [(row.voice, row.ms, bytes(row.loudness)) for row in outline] == [
        (each.voice, 2_000, each.loudness) for each in kept
    ]
    (whole,) = rows.run(statements.extent("default", rows.session))
    assert (whole.ms, whole.rate) == (4_000, 24_000)


def test_audio_travels_as_one_value() -> None:
    """A list of bytes is written as text: a quarter of a second of the event loop for two seconds of both voices."""
    sent = statements.save(uuid4(), [piece(), piece(2_000)]).parameters
    assert [each for each in sent if isinstance(each, list) and any(isinstance(part, bytes) for part in each)] == []
    assert piece().audio * 2 in sent


def test_what_is_written_twice_is_there_once(rows: Rows) -> None:
    for _ in range(2):
        assert rows.count(statements.save(rows.session, [piece(), piece(2_000)])) == 2
    assert number(rows) == 2


def test_two_gateways_in_turn_may_write_of_the_same_time(rows: Rows) -> None:
    for epoch in (1, 2):
        assert rows.count(statements.save(rows.session, [piece(epoch=epoch)])) == 1
    assert number(rows) == 2


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "found"),
    [(0, 1_000, [0]), (1_999, 2_500, [0, 2_000]), (9_000, 9_500, []), (6_000, 12_000, [2_000, 10_000])],
)
def test_only_what_may_sound_in_the_time_is_read(rows: Rows, from_ms: int, until_ms: int, found: list[int]) -> None:
    rows.count(statements.save(rows.session, [piece(at) for at in (0, 2_000, 10_000)]))
    read = rows.run(statements.pieces_between("default", rows.session, from_ms, until_ms))
    assert [row.from_ms for row in read] == found


def test_of_a_session_that_is_gone_or_to_be_erased_no_piece_is_kept(rows: Rows) -> None:
    assert rows.count(statements.save(uuid4(), [piece()])) == 0
    rows.count(update(sessions).where(sessions.c.id == rows.session).values(end_wanted="erased"))
    assert rows.count(statements.save(rows.session, [piece()])) == 0
    assert number(rows) == 0


def test_another_tenant_reads_no_piece(rows: Rows) -> None:
    rows.count(statements.save(rows.session, [piece()]))
    (whole,) = rows.run(statements.extent("other", rows.session))
    assert (whole.ms, whole.rate) == (None, None)
    assert rows.run(statements.outline("other", rows.session)) == []
    assert rows.run(statements.pieces_between("other", rows.session, 0, 9_000)) == []


def test_old_pieces_go_and_their_session_stays(rows: Rows) -> None:
    rows.count(statements.save(rows.session, [piece(), piece(2_000)]))
    rows.count(update(recordings).where(recordings.c.from_ms == 0).values(at=seconds_from_now(-31 * DAY)))
    assert rows.count(statements.delete_old(30)) == 1
    assert [row.from_ms for row in rows.run(select(recordings))] == [2_000]
    assert rows.count(statements.delete_old(30)) == 0


def test_a_session_is_deleted_once_its_recording_is(rows: Rows) -> None:
    old, young = another(rows, ended_days_ago=31), another(rows, ended_days_ago=29)
    assert rows.run(retention.delete_expired(30)) == []
    assert rows.count(retention.delete_expired_recordings(30)) == 2
    assert [row.id for row in rows.run(retention.delete_expired(30))] == [old]
    assert {row.session_id for row in rows.run(select(recordings))} == {young}


def test_a_bounded_number_goes_at_once(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [piece(10 * at, audio=b"") for at in range(statements.DELETED_AT_ONCE + 3)]
    rows.count(statements.save(rows.session, pieces))
    rows.count(update(recordings).values(at=seconds_from_now(-31 * DAY)))
    assert [rows.count(statements.delete_old(30)) for _ in range(3)] == [statements.DELETED_AT_ONCE, 3, 0]


def test_the_voices_of_an_erased_user_go_before_their_sessions(rows: Rows) -> None:
    erased, other = another(rows, user="eve"), another(rows, user="bob")
    rows.run(erasure.mark("default", "eve"))
    assert rows.count(erasure.delete_voices("default", "eve")) == 0, "the session is still open"
    over: dict[str, Any] = {"state": "ended", "ended_at": seconds_from_now(0)}
    rows.count(update(sessions).where(sessions.c.id == erased).values(**over))
    assert rows.run(erasure.delete_sessions("default", "eve")) == []
    assert rows.count(erasure.delete_voices("default", "eve")) == 2
    assert [row.id for row in rows.run(erasure.delete_sessions("default", "eve"))] == [erased]
    assert {row.session_id for row in rows.run(select(recordings))} == {other}


def test_who_listens_stands_in_the_audit_log_once_an_hour(rows: Rows) -> None:
    eve = Operator("default", "eve", "key:1")
    for who in (ADA, ADA, eve):
        rows.run(statements.note_listener(who, rows.session))
    rows.run(statements.note_listener(ADA, another(rows)))
    told = rows.run(select(audit).order_by(audit.c.id))
    assert [(act.act, act.subject, act.target == str(rows.session)) for act in told] == [
        ("session.listen", "ada", True),
        ("session.listen", "eve", True),
        ("session.listen", "ada", False),
    ]


MANY = text("""
INSERT INTO recordings (session_id, from_ms, voice, epoch, ms, codec, rate, audio, loudness, at)
SELECT :session, n * 2000 + 10000, 'caller', 1, 2000, 'pcm', 24000, '', repeat('x', 100)::bytea,
       clock_timestamp() - make_interval(days => CASE WHEN n % 4 = 0 THEN 40 ELSE 1 END)
FROM generate_series(1, 40000) AS n
""")


def test_deleting_reads_what_it_deletes_and_not_the_table(rows: Rows) -> None:
    session = another(rows, ended_days_ago=1)
    rows.count(MANY.bindparams(session=session))
    for analyse in (False, True):
        if analyse:
            rows.connection.execute(text("ANALYZE recordings"))
            rows.connection.commit()
        for statement in (statements.delete_old(30), retention.delete_expired_recordings(0)):
            seen = plan(rows, statement)
            assert "Seq Scan on recordings" not in seen, seen
            assert pages(seen) < PAGES_A_PIECE * statements.DELETED_AT_ONCE, seen


def test_a_part_of_a_long_recording_is_one_look_into_an_index(rows: Rows) -> None:
    rows.count(MANY.bindparams(session=rows.session))
    seen = plan(rows, statements.pieces_between("default", rows.session, 3_600_000, 3_605_000))
    assert pages(seen) < 20, seen
