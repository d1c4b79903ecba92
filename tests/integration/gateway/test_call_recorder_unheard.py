"""A call's row of which the gateway hears nothing: what is known of it, and how its row is settled afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from gateway.conversation.actions import RecordCall
from gateway.conversation.tool_calls.intake import as_answered
from gateway.session import call_recorder
from gateway.session.call_recorder import CallRecorder, Recorded
from gateway.storage import database as stores
from gateway.storage.database import Store, open_pool
from ringback.jobs.states import CancelReason
from ringback.statements.jobs import admission, transitions
from ringback.tools.spec import ToolSpec
from tests.integration.statements.statement_rows import ORDER, WEATHER, Rows, new_job, world
from tests.proxy import Proxy, before_postgres
from tests.session_parts import gateway_context, session_state

INSERT = b"INSERT INTO jobs"
PRESENT = 1


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def line(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Proxy, str]]:
    """The gateway's way to Postgres, on which an answer is waited for as short as a test may."""
    monkeypatch.setattr(stores, "STATEMENT_SECONDS", 0.5)
    with before_postgres(database) as line:
        yield line


def _with_recorder(url: str, work: Callable[[CallRecorder], Awaitable[Recorded | bool]]) -> Recorded | bool:
    async def run() -> Recorded | bool:
        store = Store(open_pool(url, 2))
        gateway = gateway_context(store, call_wait_seconds=0.0)
        try:
            return await work(CallRecorder(gateway, session_state(epoch=PRESENT)))
        finally:
            await store.close()

    return asyncio.run(run())


def _record(url: str, call: RecordCall) -> Recorded | bool:
    return _with_recorder(url, lambda recorder: recorder.record(call, PRESENT))


def _settle(url: str, call: RecordCall) -> Recorded | bool:
    return _with_recorder(url, lambda recorder: recorder.settle_unrecorded(as_answered(call)))


def test_a_row_whose_answer_was_lost_is_asked_for_again_where_the_call_must_not_be_repeated(
    rows: Rows, line: tuple[Proxy, str]
) -> None:
    proxy, through = line
    call = RecordCall(new_job(rows.session, ORDER))
    proxy.lose_answer_to(INSERT, silently=True, times=2)
    assert _record(through, call) is Recorded.NOT_NEW
    assert proxy.lost.is_set()
    assert rows.job(call.job.id).state == "pending"


def test_a_row_that_was_written_and_is_not_heard_of_is_not_taken_for_none(
    rows: Rows, line: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_recorder, "UNHEARD_SECONDS", 0.0)
    proxy, through = line
    call = RecordCall(new_job(rows.session, ORDER))
    proxy.lose_answer_to(INSERT, silently=True, times=2)
    assert _record(through, call) is Recorded.UNKNOWN
    assert rows.job(call.job.id).state == "pending"


def test_a_postgres_that_cannot_be_reached_has_no_row(rows: Rows, line: tuple[Proxy, str]) -> None:
    proxy, through = line
    call = RecordCall(new_job(rows.session, ORDER))
    proxy.refuse()
    assert _record(through, call) is Recorded.ABSENT
    proxy.heal()
    assert _settle(through, call) is True
    row = rows.job(call.job.id)
    assert (row.state, row.error["code"]) == ("failed", "temporarily_unavailable")
    assert rows.count(admission.admit(call.job, "gw", PRESENT)) == 0, "an INSERT that comes late finds its place taken"


def test_an_unheard_call_that_has_not_begun_is_taken_back(rows: Rows, database: str) -> None:
    call = RecordCall(new_job(rows.session, ORDER))
    rows.run(admission.admit(call.job, "gw", PRESENT))
    assert _settle(database, call) is True
    row = rows.job(call.job.id)
    assert (row.state, row.cancel_reason) == ("cancelled", CancelReason.UNHEARD)
    assert rows.count(transitions.claim(call.job.id, "w")) == 0


@pytest.mark.parametrize(("tool", "is_cancelled"), [(ORDER, False), (WEATHER, True)])
def test_an_unheard_call_that_runs_is_left_to_its_end_where_it_changes_something(
    rows: Rows, database: str, tool: ToolSpec, is_cancelled: bool
) -> None:
    call = RecordCall(new_job(rows.session, tool))
    rows.run(admission.admit(call.job, "gw", PRESENT))
    rows.run(transitions.claim(call.job.id, "w"))
    assert _settle(database, call) is True
    row = rows.job(call.job.id)
    assert (row.state, row.cancel_requested) == ("running", is_cancelled)
