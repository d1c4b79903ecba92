"""A session's deliveries on their way into the rows: behind the send, once, and in its own epoch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from gateway.session.client_connection import NoClient
from gateway.session.context import LiveCall, UpstreamLink
from gateway.session.delivery_recorder import DeliveryRecorder
from gateway.session.effects import EffectExecutor
from gateway.storage.database import Store, open_pool
from ringback.jobs.outcomes import succeeded
from ringback.postgres.statement import Runnable, bound
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions import lifecycle
from ringback.transport import Transport
from tests.integration.statements.statement_rows import Rows, world
from tests.session_parts import NONE, gateway_context, session_state


class Interrupted(Store):
    """Store that fails, or is overtaken by an event, when a delivery is recorded."""

    fails = False
    meanwhile: Callable[[], None] | None = None
    records = 0

    async def rows(self, statement: Runnable) -> list[Any]:
        if b"UPDATE jobs" not in bound(statement).text:
            return await super().rows(statement)
        self.records += 1
        if self.fails:
            raise OSError("Postgres is away")
        moved = await super().rows(statement)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return moved


Story = Callable[[EffectExecutor, UpstreamLink, Interrupted], Awaitable[None]]


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def tell(database: str, rows: Rows, story: Story, *, epoch: int = 1, call: LiveCall | None = None) -> UpstreamLink:
    """Run a story on a session's link in this epoch, until every task of the session has ended."""

    async def run() -> UpstreamLink:
        store, state, link = (
            Interrupted(open_pool(database, 2)),
            session_state(rows.session, epoch=epoch, call=call),
            UpstreamLink(epoch, NONE, NONE),
        )
        state.link = link
        try:
            async with state.tasks:
                await story(EffectExecutor(gateway_context(store), state, NoClient(), NONE), link, store)
        finally:
            await store.close()
        return link

    return asyncio.run(run())


async def read(deliveries: DeliveryRecorder, link: UpstreamLink) -> list[UUID]:
    return [row.id for row in await deliveries.ready(link)]


def test_a_result_is_given_once_before_its_row_says_so(database: str, rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))

    async def story(effects: EffectExecutor, link: UpstreamLink, _: Interrupted) -> None:
        assert await read(effects.deliveries, link) == [job]
        effects.deliveries.given(link, job)
        assert rows.job(job).delivery == "ready"
        assert await read(effects.deliveries, link) == []

    assert tell(database, rows, story).given == set()
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("sent", 1)


def test_an_echo_is_recorded_with_what_it_echoes(database: str, rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))

    async def story(effects: EffectExecutor, link: UpstreamLink, _: Interrupted) -> None:
        effects.deliveries.given(link, job)
        effects.deliveries.echoed(link, job, 7)

    tell(database, rows, story)
    assert rows.steps(job)[2:] == ["succeeded/ready", "succeeded/acked"]
    assert rows.job(job).answer_position == 7


def test_an_echo_that_comes_while_a_result_is_recorded_is_recorded_after_it(database: str, rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))

    async def story(effects: EffectExecutor, link: UpstreamLink, store: Interrupted) -> None:
        store.meanwhile = lambda: effects.deliveries.echoed(link, job, 7)
        effects.deliveries.given(link, job)

    link = tell(database, rows, story)
    assert (link.given, link.echoed) == (set(), {})
    assert rows.steps(job)[2:] == ["succeeded/ready", "succeeded/sent", "succeeded/acked"]


def test_two_who_record_at_one_beat_are_one_statement(database: str, rows: Rows) -> None:
    """The writer of what was heard records first what the conversation was given."""
    job = rows.answered(succeeded("sunny"))

    async def story(effects: EffectExecutor, link: UpstreamLink, store: Interrupted) -> None:
        link.given.add(job)
        assert await asyncio.gather(*(effects.deliveries.write(link) for _ in range(2))) == [True, True]
        assert store.records == 1

    tell(database, rows, story)
    assert rows.job(job).delivery == "sent"


def test_a_record_that_failed_is_written_after_the_next_look(database: str, rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))

    async def story(effects: EffectExecutor, link: UpstreamLink, store: Interrupted) -> None:
        store.fails = True
        link.given.add(job)
        assert not await effects.deliveries.write(link)
        store.fails = False
        assert await read(effects.deliveries, link) == [], "it is not given again"

    tell(database, rows, story)
    assert rows.job(job).delivery == "sent"


def test_what_was_given_is_recorded_before_the_next_epoch_begins(database: str, rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))

    async def story(effects: EffectExecutor, link: UpstreamLink, _: Interrupted) -> None:
        link.given.add(job)
        await effects.settle()

    tell(database, rows, story)
    assert rows.job(job).delivery == "sent"


def test_a_record_that_comes_after_the_next_epoch_has_begun_changes_no_row(database: str, rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))
    rows.run(lifecycle.next_epoch(rows.session, "gw", 1))

    async def story(effects: EffectExecutor, link: UpstreamLink, _: Interrupted) -> None:
        effects.deliveries.given(link, job)

    assert tell(database, rows, story).given == set(), "it is not tried again"
    assert rows.job(job).delivery == "ready"
    assert rows.deliver(2) == [job]


CALL = LiveCall("rtc_1", Transport.WEBRTC, secret="")


def test_a_result_that_was_lost_with_the_sideband_of_a_call_is_given_to_the_call_again(
    database: str, rows: Rows
) -> None:
    """The conversation of a call outlives its sideband: no replay tells it what was lost on the way."""
    lost, had, told = (rows.answered(succeeded("sunny")) for _ in range(3))

    async def give(effects: EffectExecutor, link: UpstreamLink, _: Interrupted) -> None:
        assert set(await read(effects.deliveries, link)) == {lost, had, told}
        for job in (lost, had, told):
            effects.deliveries.given(link, job)
        effects.deliveries.echoed(link, had, 7)
        effects.moments.note([Told(told, "resp_1", began_at=0.0, spoken_at=0.0)])
        await effects.settle()

    async def give_again(effects: EffectExecutor, link: UpstreamLink, _: Interrupted) -> None:
        assert await read(effects.deliveries, link) == [lost]
        effects.deliveries.given(link, lost)
        effects.deliveries.echoed(link, lost, 9)

    assert tell(database, rows, give, call=CALL).given == {lost}
    assert [rows.job(job).delivery for job in (lost, had, told)] == ["ready", "acked", "spoken"]
    rows.run(lifecycle.next_epoch(rows.session, "gw", 1))
    assert tell(database, rows, give_again, epoch=2, call=CALL).given == set()
    assert (rows.job(lost).delivery, rows.job(lost).delivered_epoch) == ("acked", 2)
