"""A gateway's lease, and its look into the table, wait for no pool, no event loop, and no clock that stood still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, select, text, update

from gateway.app import kept_going
from gateway.background.lease import Lease
from gateway.background.result_listener import ResultListener
from gateway.live_sessions import SessionHandle, SessionRegistry
from gateway.storage.answered_within import STEP_SECONDS, AnsweredWithin
from gateway.storage.database import Store, lease_connector, open_pool
from ringback.config.settings import postgres_url
from ringback.leases.lease import LeaseTimes
from ringback.postgres.statement import Runnable
from ringback.statements.clock import now, seconds
from ringback.statements.processes import holds_its_lease, retire
from ringback.statements.sessions.lifecycle import open_session
from ringback.tables import processes, sessions
from tests.integration.toolbox.line import GATEWAY, PATIENCE, Line, eventually
from tests.servers import execute

HERE = "gateway-here"
TIMES = LeaseTimes(seconds=60, renew=0.2, margin=1)
"""Renewed often, so that nothing here takes long; and long, so that no lease runs out by itself on a busy machine."""
POOL = 2


@asynccontextmanager
async def gateway(line: Line) -> AsyncIterator[tuple[Lease, Store, SessionRegistry]]:
    """What a gateway has of its lease and of its look, wired as in `gateway.app`."""
    url = postgres_url(line.database)
    store, looker = Store(open_pool(url, POOL)), Store(open_pool(url, 1))
    live_sessions, lease = SessionRegistry(10), Lease(HERE, store, lease_connector(url), TIMES)
    result_listener = ResultListener(line.redis_url, looker, live_sessions, lease, HERE)
    await lease.register()
    try:
        async with kept_going(lease.watch_loop, result_listener.poll):
            yield lease, store, live_sessions
    finally:
        await lease.retire()
        await result_listener.close()
        await looker.close()
        await store.close()


def lease_until(line: Line) -> datetime:
    with line.engine.connect() as connection:
        found: datetime = connection.execute(select(processes.c.lease_until).where(processes.c.id == HERE)).scalar_one()
    return found


def is_renewed(line: Line, times: int = 2) -> bool:
    """Wait until the lease was renewed so often."""
    for _ in range(times):
        before = lease_until(line)
        eventually(partial(is_later, line, before), "the lease to be renewed")
    return True


def is_later(line: Line, before: datetime) -> bool:
    return lease_until(line) > before


def test_a_pool_without_a_free_connection_holds_up_neither_renewals_nor_looks(line: Line) -> None:
    async def scene() -> None:
        async with gateway(line) as (lease, store, live_sessions):
            line.run(update(sessions).values(gateway_id=HERE))
            place = live_sessions.enter(line.session)
            place.is_held = True
            asleep = [asyncio.create_task(store.rows(text("SELECT pg_sleep(60)"))) for _ in range(POOL)]
            sleeping = select(func.count()).select_from(text("pg_stat_activity")).where(text("wait_event = 'PgSleep'"))
            await asyncio.to_thread(eventually, lambda: count(line, sleeping) == POOL, "the pool to be taken")
            assert await asyncio.to_thread(is_renewed, line)
            assert lease.is_current
            line.run(update(sessions).values(gateway_id="gateway-elsewhere"))
            await told_to_leave(place)
            assert place.why_over == "session_superseded"
            for each in asleep:
                each.cancel()
            await asyncio.gather(*asleep, return_exceptions=True)

    asyncio.run(scene())


async def told_to_leave(session: SessionHandle) -> None:
    told = asyncio.Event()
    session.on_leave = told.set
    if not session.is_to_leave:
        async with asyncio.timeout(PATIENCE):
            await told.wait()


def count(line: Line, statement: Any) -> int:
    with line.engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def test_an_event_loop_that_is_blocked_costs_no_lease_and_is_told(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    renewed = Event()

    async def scene() -> None:
        async with gateway(line) as (lease, _, _):
            await asyncio.sleep(0)

            def look() -> None:
                is_renewed(line, 8)
                renewed.set()

            watcher = Thread(target=look)
            watcher.start()
            assert renewed.wait(PATIENCE), "the loop stands still until the lease was renewed"
            watcher.join()
            assert lease.sheds
            await asyncio.to_thread(eventually, lambda: "the gateway was held up for" in caplog.text, "it to be told")
            assert lease.is_current

    asyncio.run(scene())
    assert "takes nothing new" in caplog.text


@asynccontextmanager
async def lease_alone(line: Line) -> AsyncIterator[Lease]:
    """A lease without the look, so that the test hears of each lapse."""
    url = postgres_url(line.database)
    store = Store(open_pool(url, POOL))
    lease = Lease(HERE, store, lease_connector(url), TIMES)
    await lease.register()
    try:
        yield lease
    finally:
        await lease.retire()
        await store.close()


LAPSES: dict[str, Runnable] = {
    "its lease has run out": update(processes).where(processes.c.id == HERE).values(lease_until=now() - seconds(60)),
    "its row is retired": retire(HERE),
    "its row is gone": delete(processes).where(processes.c.id == HERE),
}


@pytest.mark.parametrize("what", LAPSES)
def test_a_lapse_is_heard_of_at_once_and_told_once(line: Line, what: str) -> None:
    async def scene() -> None:
        async with lease_alone(line) as lease:
            await asyncio.to_thread(is_renewed, line)
            waits = asyncio.create_task(lease.lapse_within(PATIENCE))
            line.run(LAPSES[what])
            assert await waits
            lives = select(func.count()).where(processes.c.id == HERE, holds_its_lease())
            assert await asyncio.to_thread(count, line, lives) == 1, "it is told once the row is renewed"
            await asyncio.to_thread(is_renewed, line)
            assert not await lease.lapse_within(0)
            assert lease.is_current

    asyncio.run(scene())


BORN_LATE = """
CREATE FUNCTION born_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.lease_until := clock_timestamp() - interval '1 minute'; RETURN NEW; END $$;
CREATE TRIGGER born_late BEFORE INSERT ON processes FOR EACH ROW EXECUTE FUNCTION born_late();
"""
"""A registration takes effect a minute late, as if the gateway had then stood still until its first renewal."""


def test_a_lapse_between_a_registration_and_the_first_renewal_is_not_missed(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def lapses(number: int) -> None:
        await asyncio.to_thread(eventually, lambda: caplog.text.count("lease had run out") == number, "it to be told")

    async def scene() -> None:
        line.run(text(BORN_LATE))
        async with lease_alone(line):
            await lapses(1)
            line.run(delete(processes).where(processes.c.id == HERE))
            await lapses(2)
            assert caplog.text.count("lease row gone") == 1

    asyncio.run(scene())


@pytest.mark.parametrize("what", LAPSES)
def test_a_session_that_others_hold_ends_at_once_after_a_lapse(line: Line, what: str) -> None:
    async def scene() -> None:
        async with gateway(line) as (_, _, live_sessions):
            await asyncio.to_thread(is_renewed, line)
            another = uuid4()
            line.run(open_session(another, user_id="ada", agent="demo", model="m", gateway_id=GATEWAY))
            ours, theirs = live_sessions.enter(line.session), live_sessions.enter(another)
            ours.is_held = theirs.is_held = True
            with line.engine.begin() as connection:
                connection.execute(update(sessions).where(sessions.c.id == line.session).values(gateway_id=HERE))
                execute(connection, LAPSES[what])
            await told_to_leave(theirs)
            assert ours.why_over is None

    asyncio.run(scene())


def test_an_answer_that_came_while_the_loop_stood_still_is_no_time_out() -> None:
    async def scene() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def stand_still() -> None:
            loop.call_soon_threadsafe(lambda: loop.call_soon(answer.set_result, "there"))
            Event().wait(2.5 * STEP_SECONDS)

        async with AnsweredWithin(2 * STEP_SECONDS):
            loop.call_soon(stand_still)
            return await answer

    assert asyncio.run(scene()) == "there"


def test_a_server_that_says_nothing_is_given_up() -> None:
    async def scene() -> None:
        async with AnsweredWithin(STEP_SECONDS):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(scene())
