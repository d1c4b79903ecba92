"""Rows without a foreign key: deleted with their session or job, and never written for one that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Table, delete, select

from ringback.jobs.outcomes import succeeded
from ringback.moments import Moment, MomentKind
from ringback.postgres.statement import Bound
from ringback.statements import usage
from ringback.statements.sessions import items as messages
from ringback.statements.sessions import moments as told_moments
from ringback.statements.sessions.items import Message
from ringback.tables import items, job_events, jobs, moments, responses, sessions
from ringback.usage.prices import Usage
from tests.integration.statements.statement_rows import Rows, world
from tests.integration.statements.two_connections import PATIENCE, Other, another
from tests.servers import execute

OWNED = {"items": items, "moments": moments, "responses": responses}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def writing(session: UUID, which: str) -> Bound:
    """Return the statement that writes one row of the session into this table."""
    if which == "items":
        return messages.save(session, "gw", 1, [Message(1, "item_1", "user", [])])
    if which == "moments":
        return told_moments.save(session, "gw", 1, [(1, Moment(MomentKind.USER_BEGAN, 1.0, 1))], 2.0)
    return usage.record([usage.ResponseUsage(session, "resp_1", 1, "completed", Usage(), None)])


def owners(rows: Rows, table: Table) -> set[UUID]:
    return {row[0] for row in rows.run(select(table.c.job_id if table is job_events else table.c.session_id))}


def test_a_deleted_session_takes_its_rows_with_it_and_no_others(rows: Rows) -> None:
    second = rows.another_session()
    for session in (rows.session, second):
        for which in OWNED:
            assert rows.count(writing(session, which)) == 1
    assert rows.count(delete(sessions).where(sessions.c.id == second)) == 1
    assert {which: owners(rows, table) for which, table in OWNED.items()} == {which: {rows.session} for which in OWNED}


def test_a_deleted_job_takes_its_events_with_it_and_no_others(rows: Rows) -> None:
    gone, stays = rows.answered(succeeded(1)), rows.answered(succeeded(2))
    assert rows.count(delete(jobs).where(jobs.c.id == gone)) == 1
    assert owners(rows, job_events) == {stays}


@pytest.mark.parametrize("which", OWNED)
def test_what_is_written_while_its_session_is_deleted_goes_with_it(rows: Rows, other: Other, which: str) -> None:
    execute(rows.connection, writing(rows.session, which))
    deleting = other.waits(delete(sessions).where(sessions.c.id == rows.session))
    rows.connection.commit()
    deleting.result(PATIENCE)
    assert owners(rows, OWNED[which]) == set()


@pytest.mark.parametrize("which", OWNED)
def test_nothing_is_written_for_a_session_that_was_deleted_meanwhile(rows: Rows, other: Other, which: str) -> None:
    execute(rows.connection, delete(sessions).where(sessions.c.id == rows.session))
    late = other.waits(writing(rows.session, which))
    rows.connection.commit()
    late.result(PATIENCE)
    assert owners(rows, OWNED[which]) == set()
