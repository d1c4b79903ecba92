"""A session that looks for results gives each that is ready to its conversation, however many there are."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, cast
from uuid import UUID

from gateway.conversation.call_table import Call, CallTable, Stage
from gateway.live_sessions import SessionRegistry
from gateway.session.client_connection import NoClient
from gateway.session.context import UpstreamLink
from gateway.session.session import Session
from gateway.storage.database import Store, open_pool
from ringback.jobs.outcomes import succeeded
from ringback.statements.jobs import approvals
from ringback.statements.jobs.deliveries import TAKE_AT_ONCE
from ringback.statements.sessions.lifecycle import held_sessions
from tests.integration.statements.statement_rows import world
from tests.session_parts import NONE, gateway_context, session_state


class Conversation:
    """Notes the results that it is given."""

    is_idle = True

    def __init__(self) -> None:
        self.results: list[UUID] = []
        self.approvals: list[UUID] = []
        self.calls = CallTable()

    def approved(self, job_id: UUID, _now: float) -> list[Any]:
        self.approvals.append(job_id)
        return []

    def deliver(self, job_id: UUID, *_: Any, more: bool) -> list[Any]:
        self.results.append(job_id)
        return []

    def wake_at(self, _now: float) -> float:
        return inf


def hears_after_a_ring(database: str, session_id: UUID, calls: CallTable | None = None) -> Conversation:
    """The conversation of a session that was woken once and has looked until it need not look again."""

    async def looked() -> None:
        store = Store(open_pool(database, 2))
        session = Session(gateway_context(store), state, NoClient())
        state.handle.wake()
        async with state.tasks:
            while state.handle.is_awake:
                await session._from_doorbell()
        await store.close()

    state, heard = session_state(session_id), Conversation()
    heard.calls, heard.is_idle = calls or heard.calls, calls is None
    state.link = UpstreamLink(1, NONE, cast(Any, heard))
    asyncio.run(looked())
    return heard


def test_results_that_one_statement_does_not_take_wait_for_no_poll(database: str) -> None:
    """As after an outage: the doorbell rings for all of them at one time, and is answered by one look."""
    with world(database) as rows:
        jobs = {rows.answered(succeeded(number)) for number in range(TAKE_AT_ONCE + 1)}
        heard = hears_after_a_ring(database, rows.session)
        assert len(heard.results) == len(jobs)
        assert set(heard.results) == jobs


def test_an_approval_that_comes_with_a_result_is_heard_of_too(database: str) -> None:
    """An operator approves a call at the moment when another one ends: both doorbells are answered by one look."""
    with world(database) as rows:
        done, asked, calls = rows.answered(succeeded("sunny")), rows.asking(), CallTable()
        calls.add(Call("call_asked", "order", stage=Stage.RUNNING, job_id=asked, waits_for_yes=True))
        assert rows.count(approvals.decide(asked, "default", True)) == 1
        heard = hears_after_a_ring(database, rows.session, calls)
        assert (heard.results, heard.approvals) == ([done], [asked])


def test_a_result_whose_doorbell_is_lost_waits_for_no_end_of_the_others(database: str) -> None:
    """The others come one after the other, each with its doorbell: the session records one of them at each poll."""

    async def polled_twice() -> None:
        store, live_sessions = Store(open_pool(database, 2)), SessionRegistry(1)
        state.handle = live_sessions.enter(state.session_id)
        session = Session(gateway_context(store), state, NoClient())
        async with state.tasks:
            for job in jobs:
                session._effects.deliveries.given(link, job)
                mine = await store.rows(held_sessions("gw"))
                live_sessions.wake_waiting(row.id for row in mine if row.is_waiting)
                if state.handle.is_awake:
                    await session._from_doorbell()
        await store.close()

    with world(database) as rows:
        lost, *jobs = [rows.answered(succeeded(number)) for number in range(3)]
        state, heard = session_state(rows.session), Conversation()
        state.link = link = UpstreamLink(1, NONE, cast(Any, heard))
        asyncio.run(polled_twice())
        assert heard.results == [lost]
