"""Places, tokens and money in real rows: what is counted over all gateways, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Executable, Insert, delete, func, insert, select, text, update

from gateway.callers import Caller
from gateway.conversation.actions import RecordUsage
from gateway.purse import Denied, Purse
from gateway.store import Store, open_engine
from ringback.agents import Agent
from ringback.allowances import Allowances
from ringback.prices import Price, Prices, Rate
from ringback.settings import postgres_url
from ringback.statements import places
from ringback.statements import sessions as statements
from ringback.tables import responses, sessions, tenants, usage_days

MODEL = "gpt-realtime-2.1"
PRICES = Prices(models={MODEL: Price(text=Rate(input=Decimal(4), output=Decimal(24)))})
AGENT = Agent(name="demo", instructions="Hello.", model=MODEL)
ANN, BOB = Caller("ann"), Caller("bob")
USED = {"input_tokens": 100, "output_tokens": 10}
"""110 tokens, 640 millionths of a dollar."""
TOLD = {"input_tokens": 100, "input_token_details": {"text_tokens": 100}, "output_tokens": 10}


class World:
    """One gateway's purse, and its rows."""

    def __init__(self, store: Store, **defaults: Any) -> None:
        self.store = store
        self.purse = Purse(store, PRICES, Allowances(**defaults))

    async def opened(self, caller: Caller = ANN) -> UUID:
        session_id = uuid4()
        assert await self.purse.open_session(opening(session_id, caller), caller) is None
        return session_id

    async def one(self, statement: Executable) -> Any:
        ((value,),) = await self.store.rows(statement)
        return value

    async def allow(self, tenant: str = "default", **allowances: Any) -> None:
        await self.store.count(insert(tenants).values(tenant=tenant, allowances=allowances))


def opening(session_id: UUID, caller: Caller) -> Insert:
    return statements.open_session(
        session_id,
        user_id=caller.user,
        agent=AGENT.name,
        model=MODEL,
        gateway_id="gw",
        tenant=caller.tenant,
        claims={"plan": "gold", "scopes": ["realtime"]},
        resume_hash=session_id.bytes,
        resume_seconds=60.0,
        credential="key:1",
        policy="trusted",
    )


@asynccontextmanager
async def world(database: str, **defaults: Any) -> AsyncIterator[World]:
    store = Store(open_engine(postgres_url(database), 4))
    try:
        yield World(store, **defaults)
    finally:
        await store.close()


Story = Callable[[World], Coroutine[Any, Any, None]]


def tell(database: str, story: Story, **defaults: Any) -> None:
    async def run() -> None:
        async with world(database, **defaults) as here:
            await story(here)

    asyncio.run(run())


# — places —


@pytest.mark.parametrize("limits", [{}, {"sessions_per_user": 3}, {"sessions": 3}])
def test_a_session_is_written_down_as_it_is_asked_for(database: str, limits: dict[str, int]) -> None:
    async def story(world: World) -> None:
        session_id = await world.opened()
        (row,) = await world.store.rows(select(sessions).where(sessions.c.id == session_id))
        assert (row.user_id, row.agent, row.model, row.gateway_id, row.epoch) == ("ann", "demo", MODEL, "gw", 1)
        assert (row.tenant, row.state, row.claims["plan"], row.resume_hash) == (
            "default",
            "open",
            "gold",
            session_id.bytes,
        )
        assert (row.resume_seconds, row.credential, row.policy, row.has_webhook) == (60.0, "key:1", "trusted", False)

    tell(database, story, **limits)


def test_one_session_more_than_a_user_may_have_is_refused_and_others_are_not(database: str) -> None:
    async def story(world: World) -> None:
        first = await world.opened()
        await world.opened()
        denied = await world.purse.open_session(opening(uuid4(), ANN), ANN)
        assert denied == Denied(
            429,
            "too_many_sessions",
            "You have 2 sessions, as many as you may have at once. End one, or try later.",
            5,
        )
        await world.opened(BOB)
        await world.opened(Caller("ann", tenant="elsewhere"))
        await world.store.count(statements.end_session(first, "gw", 1, "client_closed_1000"))
        await world.opened()

    tell(database, story, sessions_per_user=2)


def test_a_session_that_may_be_resumed_keeps_its_place(database: str) -> None:
    async def story(world: World) -> None:
        first = await world.opened()
        assert await world.store.count(statements.detach(first, "gw", 1)) == 1
        denied = await world.purse.open_session(opening(uuid4(), ANN), ANN)
        assert denied is not None
        assert denied.code == "too_many_sessions"

    tell(database, story, sessions_per_user=1)


def test_a_tenants_places_are_taken_by_all_its_users(database: str) -> None:
    async def story(world: World) -> None:
        await world.opened(ANN)
        await world.opened(BOB)
        denied = await world.purse.open_session(opening(uuid4(), Caller("eve")), Caller("eve"))
        assert denied is not None
        assert denied.message == "There are as many sessions as there may be at once. Try again later."
        await world.opened(Caller("eve", tenant="elsewhere"))

    tell(database, story, sessions=2)


def test_nobody_comes_in_where_no_session_is_allowed(database: str) -> None:
    async def story(world: World) -> None:
        denied = await world.purse.open_session(opening(uuid4(), ANN), ANN)
        assert denied is not None
        assert await world.one(select(func.count()).select_from(sessions)) == 0

    tell(database, story, sessions_per_user=0)


def test_opening_it_twice_is_opening_it_once(database: str) -> None:
    """A connection that was cut before its answer came: the statement is run once more."""

    async def story(world: World) -> None:
        first = opening(uuid4(), ANN)
        for _ in range(2):
            limits = places.Limits(of_tenant=None, of_user=1)
            lock = places.lock("default", "ann", limits)
            (_, (row,)) = await world.store.together(lock, places.open_within(first, limits))
            assert row.is_open
        assert await world.one(select(func.count()).select_from(sessions)) == 1

    tell(database, story, sessions_per_user=1)


@pytest.mark.parametrize(
    "limits", [{"sessions_per_user": 20}, {"sessions": 20}, {"sessions_per_user": 20, "sessions": 20}]
)
def test_of_500_that_come_at_once_to_three_gateways_as_many_get_in_as_may(
    database: str, limits: dict[str, int]
) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            gateways = [await stack.enter_async_context(world(database, **limits)) for _ in range(3)]
            attempts = [gateways[number % 3].purse.open_session(opening(uuid4(), ANN), ANN) for number in range(500)]
            answers = await asyncio.gather(*attempts)
            assert answers.count(None) == 20
            assert {denied.status for denied in answers if denied is not None} == {429}
            assert await gateways[0].one(select(func.count()).select_from(sessions)) == 20

    asyncio.run(story())


def test_gateways_that_limit_different_things_keep_each_its_own_limit(database: str) -> None:
    async def story() -> None:
        async with world(database, sessions_per_user=5) as one, world(database, sessions=8) as other:
            users = [ANN, BOB]
            attempts = [
                (one, other)[number % 2].purse.open_session(
                    opening(uuid4(), users[number // 2 % 2]), users[number // 2 % 2]
                )
                for number in range(80)
            ]
            await asyncio.gather(*attempts)
            for user in users:
                assert await one.purse.open_session(opening(uuid4(), user), user) is not None or (
                    await one.one(select(func.count()).where(sessions.c.user_id == user.user)) <= 5
                )

    asyncio.run(story())


# — what was used —


def test_what_a_response_used_is_written_once_and_summed_up(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(session_id := await world.opened(), ANN, AGENT, MODEL)
        for _ in range(3):
            assert await account.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        await account.record(1, RecordUsage("resp_2", TOLD, "cancelled"))
        rows = await world.store.rows(select(responses).order_by(responses.c.response_id))
        assert [(row.response_id, row.status, row.micros) for row in rows] == [
            ("resp_1", "completed", 640),
            ("resp_2", "cancelled", 640),
        ]
        assert rows[0].tokens == {"text_in": 100, "audio_out": 10}
        assert (rows[0].user_id, rows[0].agent, rows[0].model, rows[0].epoch) == ("ann", "demo", MODEL, 1)
        row = (await world.store.rows(select(sessions).where(sessions.c.id == session_id)))[0]
        assert (row.tokens, row.micros) == (220, 1280)
        (day,) = await world.store.rows(select(usage_days))
        assert (day.user_id, day.responses, day.input_tokens, day.output_tokens, day.micros) == (
            "ann",
            2,
            200,
            20,
            1280,
        )

    tell(database, story)


def test_a_model_without_a_price_is_counted_and_costs_nobody_knows_what(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, "my-deployment")
        await account.record(1, RecordUsage("resp_1", TOLD, "completed"))
        assert await world.one(select(responses.c.micros)) is None
        assert await world.one(select(sessions.c.tokens)) == 110

    tell(database, story)


def test_a_response_that_nobody_heard_the_end_of_counts_as_the_one_before(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, MODEL)
        await account.check(1, "resp_1")
        await account.record(1, RecordUsage("resp_1", TOLD, "completed"))
        await account.check(1, "resp_2")
        await account.check(2, "resp_3")  # the second was lost with its epoch
        await account.record(2, RecordUsage("resp_3", {"input_tokens": 200}, "completed"))
        await account.check(2, "resp_4")
        account.leave()  # and the client hung up in the middle of the fourth
        await world.purse.close()
        rows = await world.store.rows(select(responses).order_by(responses.c.response_id))
        assert [(row.epoch, row.status, row.input_tokens + row.output_tokens) for row in rows] == [
            (1, "completed", 110),
            (1, "unheard", 110),
            (2, "completed", 200),
            (2, "unheard", 200),
        ]

    tell(database, story)


def test_the_first_response_is_not_for_nothing_when_its_client_hangs_up(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, MODEL)
        await account.check(1, "resp_1")
        account.leave()
        account.leave()
        await world.purse.close()
        assert await world.one(select(sessions.c.tokens)) == 1_200

    tell(database, story)


def test_what_is_recorded_while_postgres_is_away_is_written_when_it_is_back(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(text("ALTER TABLE responses RENAME TO away"))
        assert await account.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        settling = asyncio.create_task(world.purse.settle())
        await world.store.count(text("ALTER TABLE away RENAME TO responses"))
        async with asyncio.timeout(20):
            while not await world.one(select(func.count()).select_from(responses)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        settling.cancel()
        assert await world.one(select(sessions.c.tokens)) == 110

    tell(database, story)


def test_a_client_that_hangs_up_at_the_last_word_has_used_it_all_the_same(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, MODEL)
        recording = asyncio.create_task(account.record(1, RecordUsage("resp_1", TOLD, "completed")))
        await asyncio.sleep(0)  # it has begun
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording
        await world.purse.close()
        assert await world.one(select(func.count()).select_from(responses)) == 1

    tell(database, story)


def test_of_a_session_that_was_erased_nothing_is_owed(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(session_id := await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(delete(sessions).where(sessions.c.id == session_id))
        assert await account.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        assert await world.one(select(func.count()).select_from(usage_days)) == 0

    tell(database, story)


# — what is left —

LIMITS: tuple[tuple[str, dict[str, Any], dict[str, Any], str], ...] = (
    ("session's tokens", {"max_session_tokens": 220}, {}, "This session has used all the tokens"),
    ("session's funds", {"max_session_cost": 0.00128}, {}, "This session has used all the funds"),
    ("user's tokens", {}, {"tokens_per_user_per_day": 220}, "You have used all the tokens"),
    ("user's funds", {}, {"cost_per_user_per_day": 0.00128}, "You have used all the funds"),
    ("tenant's tokens", {}, {"tokens_per_day": 220}, "All the tokens that may be used today are used"),
    ("tenant's funds", {}, {"cost_per_day": 0.00128}, "All the funds that may be used today are used"),
)


@pytest.mark.parametrize(
    ("of_agent", "defaults", "sentence"), [case[1:] for case in LIMITS], ids=[c[0] for c in LIMITS]
)
def test_after_the_response_that_used_the_last_of_it_nothing_is_left(
    database: str, of_agent: dict[str, Any], defaults: dict[str, Any], sentence: str
) -> None:
    async def story(world: World) -> None:
        agent = AGENT.model_copy(update=of_agent)
        account = world.purse.account(await world.opened(), ANN, agent, MODEL)
        assert await account.check(1, "resp_1") is None
        assert await account.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        assert await account.check(1, "resp_2") is None
        after = await account.record(1, RecordUsage("resp_2", TOLD, "completed"))
        assert after is not None
        assert after.startswith(sentence)
        assert await account.check(1, "resp_3") == after
        denied = await world.purse.may_begin(ANN, agent, MODEL)
        if of_agent:
            assert denied is None  # another session has its own
        else:
            assert denied is not None
            assert (denied.status, denied.code, denied.message) == (429, "insufficient_quota", after)
            assert denied.retry_after is not None
            assert 0 < denied.retry_after <= 86_400

    tell(database, story, **defaults)


def test_what_others_use_is_theirs_and_the_tenants(database: str) -> None:
    async def story(world: World) -> None:
        for caller in (BOB, Caller("ann", tenant="elsewhere")):
            account = world.purse.account(await world.opened(caller), caller, AGENT, MODEL)
            await account.record(1, RecordUsage("resp_1", TOLD, "completed"))
        assert await world.purse.may_begin(ANN, AGENT, MODEL) is None
        assert await world.purse.may_begin(BOB, AGENT, MODEL) is not None

    tell(database, story, tokens_per_user_per_day=110, tokens_per_day=220)


def test_what_was_used_yesterday_is_used_no_more(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, MODEL)
        await account.record(1, RecordUsage("resp_1", TOLD, "completed"))
        assert await world.purse.may_begin(ANN, AGENT, MODEL) is not None
        await world.store.count(update(usage_days).values(day=usage_days.c.day - 1))
        assert await world.purse.may_begin(ANN, AGENT, MODEL) is None

    tell(database, story, tokens_per_user_per_day=100)


def test_a_tenants_own_allowances_are_over_the_gateways(database: str) -> None:
    async def story(world: World) -> None:
        strict, free, other = (Caller("ann", tenant=name) for name in ("strict", "free", "other"))
        await world.allow("strict", sessions_per_user=0)
        await world.allow("free", sessions_per_user=None)
        assert await world.purse.open_session(opening(uuid4(), strict), strict) is not None
        for _ in range(3):
            await world.opened(free)
        await world.opened(other)
        assert await world.purse.open_session(opening(uuid4(), other), other) is not None

    tell(database, story, sessions_per_user=1)


def test_allowances_that_nobody_can_read_leave_the_defaults(database: str) -> None:
    async def story(world: World) -> None:
        await world.allow(sessions_per_user="many")
        await world.opened()
        assert await world.purse.open_session(opening(uuid4(), ANN), ANN) is not None

    tell(database, story, sessions_per_user=1)


def test_a_model_without_a_price_begins_nothing_where_money_is_limited(database: str) -> None:
    async def story(world: World) -> None:
        dear = AGENT.model_copy(update={"max_session_cost": 1.0})
        assert await world.purse.may_begin(ANN, dear, MODEL) is None
        assert await world.purse.may_begin(ANN, AGENT, "my-deployment") is None
        denied = await world.purse.may_begin(ANN, dear, "my-deployment")
        assert denied is not None
        assert (denied.status, denied.code) == (503, "model_without_price")

    tell(database, story)


def test_where_nobody_can_say_what_is_left_the_conversation_goes_on(database: str) -> None:
    async def story(world: World) -> None:
        account = world.purse.account(await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(text("ALTER TABLE usage_days RENAME TO away"))
        assert await account.check(1, "resp_1") is None

    tell(database, story, tokens_per_day=0)
