"""Late results in real rows: due once they are ready, to one gateway at a time, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text

from ringback.jobs.outcomes import failed, succeeded
from ringback.statements import webhooks
from ringback.statements.jobs import sweeps, transitions
from ringback.tables import DEFAULT_TENANT
from tests.integration.statements.statement_rows import Rows, world
from tests.integration.statements.two_connections import both_sweep

SUNNY = succeeded({"sky": "clear"})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.set_session(has_webhook=True)
        yield rows


def late(rows: Rows) -> UUID:
    """Insert a result that came after the end of its session."""
    job, token = rows.running()
    rows.set_state("ended")
    assert rows.count(transitions.finish(job, token, SUNNY)) == 1
    rows.set_state("open", ended_at=None)
    return job


def due_again(rows: Rows) -> None:
    """Let the pause be over."""
    rows.count(text("UPDATE jobs SET notify_after = clock_timestamp() WHERE notify_after IS NOT NULL"))


def test_the_pauses_double_and_are_about_an_hour_together(rows: Rows) -> None:
    job = late(rows)
    pauses = []
    for attempt in range(1, webhooks.ATTEMPTS + 1):
        (row,) = rows.run(webhooks.take_due(5))
        assert (row.id, row.tenant, row.agent, row.attempt) == (job, "default", "demo", attempt)
        assert rows.run(webhooks.take_due(5)) == []
        if attempt < webhooks.ATTEMPTS:
            now = rows.run(text("SELECT clock_timestamp()"))[0][0]
            pauses.append((rows.job(job).notify_after - now).total_seconds() / 2 ** (attempt - 1))
            due_again(rows)
    assert all(webhooks.FIRST_PAUSE_SECONDS * 0.7 < pause <= webhooks.FIRST_PAUSE_SECONDS * 1.25 for pause in pauses)
    assert rows.job(job).notify_after is None


def test_two_gateways_take_different_answers_and_wait_for_nobody(database: str, rows: Rows) -> None:
    wanted = {late(rows), late(rows)}
    first, second = both_sweep(database, rows, webhooks.take_due(1))
    assert {row.id for row in (*first, *second)} == wanted


def test_an_answer_that_was_taken_once_is_noted_once(rows: Rows) -> None:
    job = late(rows)
    rows.run(webhooks.take_due(1))
    assert [rows.count(webhooks.mark_notified([job])), rows.count(webhooks.mark_notified([job]))] == [1, 0]
    assert rows.run(webhooks.take_due(5)) == []


@pytest.mark.parametrize("how", ["finished", "cancelled", "kept", "refused"])
def test_whichever_way_an_answer_ends_in_the_history_it_is_due(rows: Rows, how: str) -> None:
    job, token = rows.running() if how != "cancelled" else (rows.asked(), None)
    second = rows.joining(job)
    if how == "kept":
        rows.count(transitions.finish(job, token, SUNNY))  # type: ignore[arg-type]
    rows.set_state("ended")
    if how == "finished":
        rows.count(transitions.finish(job, token, SUNNY))  # type: ignore[arg-type]
    elif how == "refused":
        rows.count(transitions.finish(job, token, failed("x", "No.")))  # type: ignore[arg-type]
    elif how == "cancelled":
        rows.count(transitions.cancel(job, DEFAULT_TENANT))
    else:
        assert rows.count(sweeps.keep_late_results()) == 2
    assert {row.id for row in rows.run(webhooks.take_due(9))} == {job, second}


def test_where_the_agent_names_no_webhook_nothing_is_ever_due(rows: Rows) -> None:
    rows.set_session(has_webhook=False)
    job = late(rows)
    assert rows.job(job).delivery == "history_only"
    rows.set_session(has_webhook=True)
    assert rows.run(webhooks.take_due(9)) == []
