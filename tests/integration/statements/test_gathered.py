"""What several sessions write in one statement: each into its own rows, and only while its gateway holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import HeardBy
from ringback.moments import Moment, MomentKind
from ringback.postgres.statement import Bound, bound, joined
from ringback.statements import usage
from ringback.statements.jobs import admission, deliveries, transitions
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions import moments as told_moments
from ringback.statements.sessions.items import Message
from ringback.tables import items as messages
from ringback.tables import moments, sessions
from tests.integration.statements.statement_rows import Rows, connected, new_job, world
from tests.servers import execute

BEGAN = Moment(MomentKind.RESPONSE_BEGAN, 100.0, 1, "resp_1")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def second(rows: Rows) -> UUID:
    """Another session of the same gateway."""
    return rows.another_session()


def answered(rows: Rows, session: UUID) -> UUID:
    job, token = new_job(session), uuid4()
    rows.count(admission.admit(job, "gw", 1))
    rows.count(transitions.claim(job.id, "w", token))
    rows.count(transitions.finish(job.id, token, succeeded("sunny")))
    return job.id


def said(session: UUID, epoch: int = 1, item_id: str = "item_1") -> Bound:
    return items.save(session, "gw", epoch, [Message(1, item_id, "user", [{"type": "input_text", "text": item_id}])])


def marked(session: UUID, job: UUID, epoch: int = 1) -> Bound:
    return deliveries.mark(session, "gw", epoch, [job], [job], 7)


def heard(session: UUID, job: UUID, epoch: int = 1) -> Bound:
    return deliveries.note_told(session, "gw", epoch, [Told(job, "resp_1", 1.0, 1.1, 1.5, HeardBy.REPORT)], 2.0)


def happened(session: UUID, epoch: int = 1) -> Bound:
    return told_moments.save(session, "gw", epoch, [(1, BEGAN)], 101.0)


def together(rows: Rows, *each: Bound) -> list[Any]:
    return list(rows.run(joined(each)))


def test_each_session_writes_into_its_own_rows(rows: Rows, second: UUID) -> None:
    first = rows.session
    written = together(rows, said(first, item_id="of the first"), said(second, item_id="of the second"))
    assert {(row.session_id, row.item_id) for row in written} == {(first, "of the first"), (second, "of the second")}
    kept = rows.run(select(messages.c.session_id, messages.c.item_id))
    assert {tuple(row) for row in kept} == {(first, "of the first"), (second, "of the second")}
    assert {row.session_id for row in together(rows, happened(first), happened(second))} == {first, second}
    assert sorted(row.session_id for row in rows.run(select(moments.c.session_id))) == sorted([first, second])


def test_each_session_marks_and_hears_its_own_results(rows: Rows, second: UUID) -> None:
    of_first, of_second = answered(rows, rows.session), answered(rows, second)
    assert together(rows, marked(rows.session, of_second), marked(second, of_first)) == []
    marks = together(rows, marked(rows.session, of_first), marked(second, of_second))
    assert {tuple(row) for row in marks} == {(rows.session, of_first), (second, of_second)}
    assert together(rows, heard(rows.session, of_second), heard(second, of_first)) == []
    told = together(rows, heard(rows.session, of_first), heard(second, of_second))
    assert {(row.session_id, row.id, row.is_new) for row in told} == {
        (rows.session, of_first, True),
        (second, of_second, True),
    }
    assert {rows.job(job).delivery for job in (of_first, of_second)} == {"heard"}


def test_a_session_that_has_moved_on_writes_nothing_and_holds_up_no_other(rows: Rows, second: UUID) -> None:
    of_first, of_second = answered(rows, rows.session), answered(rows, second)
    rows.count(lifecycle.next_epoch(second, "gw", 1))
    for first, late in (
        (said(rows.session), said(second)),
        (happened(rows.session), happened(second)),
        (marked(rows.session, of_first), marked(second, of_second)),
        (heard(rows.session, of_first), heard(second, of_second)),
    ):
        assert [row.session_id for row in together(rows, first, late)] == [rows.session]
    assert rows.job(of_second).delivery == "ready"


@pytest.mark.parametrize("writes", [said, happened])
def test_a_locked_session_soon_gives_up_what_others_write_with_it(
    rows: Rows, second: UUID, database: str, writes: Callable[[UUID], Bound]
) -> None:
    with connected(database) as other, other.begin():
        other.execute(update(sessions).where(sessions.c.id == second).values(model="busy"))
        with pytest.raises(OperationalError, match="lock timeout"):
            together(rows, writes(rows.session), writes(second))
        rows.connection.rollback()
        assert len(rows.run(writes(rows.session))) == 1, "alone it has nothing to wait for"


def test_only_a_statement_for_several_sessions_waits_less_than_others(rows: Rows, second: UUID) -> None:
    rows.count(text("SET lock_timeout = '7s'"))
    for statement, patience in ((said(rows.session), "7s"), (joined([said(rows.session), said(second)]), "250ms")):
        execute(rows.connection, statement)
        assert rows.run(text("SHOW lock_timeout"))[0][0] == patience
    assert rows.run(text("SHOW lock_timeout"))[0][0] == "7s", "of the transaction alone"


def test_whatever_locks_several_sessions_does_so_in_one_order() -> None:
    for each in (lifecycle.drain("gw"), said(uuid4()), usage.record([])):
        text_of = bound(each).text.decode()
        assert text_of.index("ORDER BY sessions.id") < text_of.index("FOR "), text_of
