"""Rows that must not be lost wait for the disk, even if the database's default is not to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from sqlalchemy import text

from ringback.jobs.outcomes import succeeded
from ringback.postgres.statement import Runnable
from ringback.statements.jobs import admission, approvals, deliveries, sweeps, transitions
from tests.integration.statements.statement_rows import ORDER, Rows, new_job, seconds_from_now, world
from tests.servers import execute


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.connection.execute(text("SET SESSION synchronous_commit = off"))
        rows.connection.commit()
        yield rows


def _begun(rows: Rows) -> tuple[UUID, UUID]:
    return rows.running(ORDER)


def _overdue(rows: Rows) -> Runnable:
    rows.set(rows.asked(), deadline_at=seconds_from_now(-10))
    return sweeps.time_out_overdue()


def _answered(rows: Rows) -> Runnable:
    return deliveries.mark(rows.session, "gw", 1, [rows.answered(succeeded("sunny"))])


DURABLE: dict[str, Callable[[Rows], Runnable]] = {
    "an admission": lambda rows: admission.admit(new_job(rows.session), "gw", 1),
    "the effect barrier": lambda rows: transitions.begin_effect(*_begun(rows)),
    "an outcome": lambda rows: transitions.finish(*_begun(rows), succeeded("done")),
    "a yes": lambda rows: approvals.decide(rows.asking(), "default", True),
    "a no": lambda rows: approvals.decide(rows.asking(), "default", False),
    "a cancellation": lambda rows: transitions.cancel(rows.asked(), "default"),
    "a cancellation of what runs": lambda rows: transitions.cancel(_begun(rows)[0], "default"),
    "a time-out": _overdue,
    "an answer that is taken": _answered,
}
LAZY: dict[str, Callable[[Rows], Runnable]] = {
    "a claim": lambda rows: transitions.claim(rows.asked(), "w"),
    "a note": lambda rows: transitions.note_progress(*_begun(rows), "half way"),
}


def _how_it_is_committed(rows: Rows, statement: Runnable) -> str:
    """Return the setting at the end of the statement's own transaction, which is when it counts."""
    moved = execute(rows.connection, statement)
    assert (len(moved.all()) if moved.returns_rows else moved.rowcount) == 1
    how = str(rows.connection.execute(text("SHOW synchronous_commit")).scalar_one())
    rows.connection.commit()
    return how


@pytest.mark.parametrize("what", DURABLE)
def test_what_must_not_be_lost_is_committed_durably(rows: Rows, what: str) -> None:
    assert _how_it_is_committed(rows, DURABLE[what](rows)) == "on"
    assert rows.run(text("SHOW synchronous_commit"))[0][0] == "off", "for that transaction alone"


@pytest.mark.parametrize("what", LAZY)
def test_what_may_be_lost_waits_for_no_disk(rows: Rows, what: str) -> None:
    assert _how_it_is_committed(rows, LAZY[what](rows)) == "off"


def test_who_asks_for_more_than_the_disk_gets_it(rows: Rows) -> None:
    rows.run(text("SELECT set_config('synchronous_commit', 'remote_apply', false)"))
    assert _how_it_is_committed(rows, DURABLE["an admission"](rows)) == "remote_apply"
