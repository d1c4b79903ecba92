"""What is left of tokens and money, by real rows."""

from __future__ import annotations

from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from gateway.auth.authenticator import Principal
from gateway.budgets import budgets as module
from gateway.conversation.actions import RecordUsage
from ringback.tables import responses, usage_days
from tests.integration.budgets.budget_rows import AGENT, ANN, BOB, MODEL, TOLD, Metered, World, opening, refusal, tell

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
        usage = Metered(world.budgets, await world.opened(), ANN, agent, MODEL)
        assert await usage.check(1, "resp_1") is None
        assert await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        assert await usage.check(1, "resp_2") is None
        after = await usage.record(1, RecordUsage("resp_2", TOLD, "completed"))
        assert after is not None
        assert after.startswith(sentence)
        assert await usage.check(1, "resp_3") == after
        denied = await refusal(world.budgets.check_quota(ANN, agent, MODEL))
        if of_agent:
            assert denied is None  # another session has its own
        else:
            assert denied is not None
            assert (denied.status, denied.code, str(denied)) == (429, "insufficient_quota", after)
            assert denied.retry_after is not None
            assert 0 < denied.retry_after <= 86_400

    tell(database, story, **defaults)


def test_what_others_use_is_theirs_and_the_tenants(database: str) -> None:
    async def story(world: World) -> None:
        for caller in (BOB, Principal("ann", tenant="elsewhere")):
            usage = Metered(world.budgets, await world.opened(caller), caller, AGENT, MODEL)
            await usage.record(1, RecordUsage("resp_1", TOLD, "completed"))
        assert await refusal(world.budgets.check_quota(ANN, AGENT, MODEL)) is None
        assert await refusal(world.budgets.check_quota(BOB, AGENT, MODEL)) is not None

    tell(database, story, tokens_per_user_per_day=110, tokens_per_day=220)


def test_what_was_used_yesterday_is_used_no_more(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await usage.record(1, RecordUsage("resp_1", TOLD, "completed"))
        assert await refusal(world.budgets.check_quota(ANN, AGENT, MODEL)) is not None
        await world.store.count(update(usage_days).values(day=usage_days.c.day - 1))
        assert await refusal(world.budgets.check_quota(ANN, AGENT, MODEL)) is None

    tell(database, story, tokens_per_user_per_day=100)


def test_a_tenants_own_allowances_are_over_the_gateways(database: str) -> None:
    async def story(world: World) -> None:
        strict, free, other = (Principal("ann", tenant=name) for name in ("strict", "free", "other"))
        await world.allow("strict", sessions_per_user=0)
        await world.allow("free", sessions_per_user=None)
        assert await refusal(world.budgets.open_session(opening(uuid4(), strict), strict)) is not None
        for _ in range(3):
            await world.opened(free)
        await world.opened(other)
        assert await refusal(world.budgets.open_session(opening(uuid4(), other), other)) is not None

    tell(database, story, sessions_per_user=1)


def test_allowances_that_nobody_can_read_leave_the_defaults(database: str) -> None:
    async def story(world: World) -> None:
        await world.allow(sessions_per_user="many")
        await world.opened()
        assert await refusal(world.budgets.open_session(opening(uuid4(), ANN), ANN)) is not None

    tell(database, story, sessions_per_user=1)


def test_a_model_without_a_price_begins_nothing_where_money_is_limited(database: str) -> None:
    async def story(world: World) -> None:
        dear = AGENT.model_copy(update={"max_session_cost": 1.0})
        assert await refusal(world.budgets.check_quota(ANN, dear, MODEL)) is None
        assert await refusal(world.budgets.check_quota(ANN, AGENT, "my-deployment")) is None
        denied = await refusal(world.budgets.check_quota(ANN, dear, "my-deployment"))
        assert denied is not None
        assert (denied.status, denied.code) == (503, "model_without_price")

    tell(database, story)


def test_a_tenant_without_a_budget_is_asked_about_again_once_it_may_have_one(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        assert not world.budgets.may_limit(ANN, AGENT), "its quotas were looked up as the session began"
        await world.allow(tokens_per_day=0)
        monkeypatch.setattr(module, "monotonic", lambda: monotonic() + module.QUOTAS_SECONDS)
        assert world.budgets.may_limit(ANN, AGENT), "what was looked up has become old"
        assert await usage.exceeded_reason() is not None
        assert usage.may_be_limited

    tell(database, story)


def test_where_nobody_can_say_what_is_left_the_conversation_goes_on(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(text("ALTER TABLE usage_days RENAME TO away"))
        assert await usage.check(1, "resp_1") is None

    tell(database, story, tokens_per_day=0)


def test_a_response_that_is_stopped_as_it_begins_counts_as_what_it_was_told(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await usage.record(1, RecordUsage("resp_1", TOLD, "completed"))
        assert await usage.check(1, "resp_2") is not None
        usage.leave()
        await world.budgets.close()
        (row,) = await world.store.rows(select(responses).where(responses.c.response_id == "resp_2"))
        assert (row.status, row.input_tokens, row.output_tokens) == ("unheard", 100, 0)

    tell(database, story, tokens_per_day=110)
