"""Places for sessions, in real rows: counted over all gateways, and never more than there may be."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from gateway.auth.authenticator import Principal
from gateway.errors import AuthenticationError, LimitReached
from ringback.statements.identity import credentials
from ringback.statements.sessions import lifecycle as statements
from ringback.statements.sessions import session_quota
from ringback.tables import client_secrets, sessions
from tests.integration.budgets.budget_rows import ANN, BOB, MODEL, World, opening, refusal, tell, world


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
        denied = await refusal(world.budgets.open_session(opening(uuid4(), ANN), ANN))
        assert isinstance(denied, LimitReached)
        assert (denied.code, denied.retry_after) == ("too_many_sessions", 5)
        assert str(denied) == "You have 2 sessions, as many as you may have at once. End one, or try later."
        await world.opened(BOB)
        await world.opened(Principal("ann", tenant="elsewhere"))
        await world.store.count(statements.end_session(first, "gw", 1, "client_closed_1000"))
        await world.opened()

    tell(database, story, sessions_per_user=2)


def test_a_client_secret_is_used_up_with_the_session_and_never_without(database: str) -> None:
    async def story(world: World) -> None:
        left = select(client_secrets.c.uses_left)
        secret_id = uuid4()
        made: dict[str, Any] = {"tenant": "default", "user": "ann", "minted_by": "key:1", "key_id": None}
        bounds: dict[str, Any] = {"uses": 2, "seconds_valid": 60.0, "limit": 9}
        secret = credentials.mint_secret(secret_id, b"hash", agent="demo", claims={}, **made, **bounds)
        await world.store.rows(secret)
        first, second, third, fourth = (Principal("ann", spends=secret_id) for _ in range(4))
        session_id = await world.opened(first)
        assert await world.one(left) == 1
        denied = await refusal(world.budgets.open_session(opening(uuid4(), second), second))
        assert isinstance(denied, LimitReached)
        assert await world.one(left) == 1
        await world.store.count(statements.end_session(session_id, "gw", 1, "client_closed_1000"))
        session_id = await world.opened(third)
        await world.store.count(statements.end_session(session_id, "gw", 1, "client_closed_1000"))
        denied = await refusal(world.budgets.open_session(opening(uuid4(), fourth), fourth))
        assert isinstance(denied, AuthenticationError)
        assert await world.one(left) == 0
        assert await world.one(select(func.count()).select_from(sessions)) == 2

    tell(database, story, sessions_per_user=1)


def test_a_secret_that_cannot_be_spent_opens_nothing_where_places_are_not_limited(database: str) -> None:
    async def story(world: World) -> None:
        stranger = Principal("ann", spends=uuid4())
        denied = await refusal(world.budgets.open_session(opening(uuid4(), stranger), stranger))
        assert isinstance(denied, AuthenticationError)
        assert await world.one(select(func.count()).select_from(sessions)) == 0

    tell(database, story)


@pytest.mark.parametrize(("lazy", "waits"), [(True, "off"), (False, "on")])
def test_a_lazy_session_does_not_wait_for_the_disk_and_the_next_statement_does(
    database: str, lazy: bool, waits: str
) -> None:
    async def story(world: World) -> None:
        limits = session_quota.Limits(of_tenant=None, of_user=1)
        lock = session_quota.lock_quota(opening(uuid4(), ANN), limits, lazy=lazy)
        setting = select(func.current_setting("synchronous_commit"))
        (_, ((found,),)) = await world.store.together(lock, setting)
        assert found == waits
        assert await world.one(setting) == "on"

    tell(database, story)


def test_a_session_that_may_be_resumed_keeps_its_place(database: str) -> None:
    async def story(world: World) -> None:
        first = await world.opened()
        assert await world.store.count(statements.detach(first, "gw", 1)) == 1
        denied = await refusal(world.budgets.open_session(opening(uuid4(), ANN), ANN))
        assert denied is not None
        assert denied.code == "too_many_sessions"

    tell(database, story, sessions_per_user=1)


def test_a_tenants_places_are_taken_by_all_its_users(database: str) -> None:
    async def story(world: World) -> None:
        await world.opened(ANN)
        await world.opened(BOB)
        denied = await refusal(world.budgets.open_session(opening(uuid4(), Principal("eve")), Principal("eve")))
        assert denied is not None
        assert str(denied) == "There are as many sessions as there may be at once. Try again later."
        await world.opened(Principal("eve", tenant="elsewhere"))

    tell(database, story, sessions=2)


def test_nobody_comes_in_where_no_session_is_allowed(database: str) -> None:
    async def story(world: World) -> None:
        denied = await refusal(world.budgets.open_session(opening(uuid4(), ANN), ANN))
        assert denied is not None
        assert await world.one(select(func.count()).select_from(sessions)) == 0

    tell(database, story, sessions_per_user=0)


def test_opening_it_twice_is_opening_it_once(database: str) -> None:
    """A connection that was cut before its answer came: the statement is run once more."""

    async def story(world: World) -> None:
        first = opening(uuid4(), ANN)
        for _ in range(2):
            limits = session_quota.Limits(of_tenant=None, of_user=1)
            lock = session_quota.lock_quota(first, limits)
            (_, (row,)) = await world.store.together(lock, session_quota.open_within(first, limits))
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
            turns = (gateways[number % 3].budgets for number in range(500))
            answers = await asyncio.gather(*(refusal(each.open_session(opening(uuid4(), ANN), ANN)) for each in turns))
            assert answers.count(None) == 20
            assert {denied.status for denied in answers if denied is not None} <= {429, 503}  # or told to come later
            assert await gateways[0].one(select(func.count()).select_from(sessions)) == 20

    asyncio.run(story())


def test_gateways_that_limit_different_things_agree_on_what_both_limit(database: str) -> None:
    """One locks the user's places, the other the tenant's as well: neither waits for the other for ever."""

    async def story() -> None:
        async with (
            world(database, sessions_per_user=5) as one,
            world(database, sessions_per_user=5, sessions=8) as other,
        ):
            comers = [(gateway, user) for _ in range(20) for user in (ANN, BOB) for gateway in (one, other)]
            answers = await asyncio.gather(
                *(refusal(gateway.budgets.open_session(opening(uuid4(), user), user)) for gateway, user in comers)
            )
            rows = await one.store.rows(select(sessions.c.user_id, func.count()).group_by(sessions.c.user_id))
            assert sorted(tuple(row) for row in rows) == [("ann", 5), ("bob", 5)]
            assert answers.count(None) == 10

    asyncio.run(story())
