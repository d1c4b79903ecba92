"""Whether a budget is used up."""

from __future__ import annotations

import pytest

from ringback.agents.agent import Agent
from ringback.agents.quotas import Quotas
from ringback.usage.budgets import Budget, Used, budgets, costs_count

CASES = (
    (Budget("session", tokens=100), Used(tokens=99), None),
    (Budget("session", tokens=100), Used(tokens=100), "This session has used all the tokens that it may."),
    (Budget("session", micros=5), Used(micros=4), None),
    (Budget("session", micros=5), Used(micros=6), "This session has used all the funds that it may."),
    (Budget("user", tokens=1), Used(tokens=1), "You have used all the tokens that you may use today."),
    (Budget("tenant", micros=1), Used(micros=1), "All the funds that may be used today are used."),
    (Budget("tenant", tokens=0), Used(), "All the tokens that may be used today are used."),
    (Budget("tenant"), Used(tokens=10**12, micros=10**12), None),
)


@pytest.mark.parametrize(("budget", "used", "sentence"), CASES)
def test_a_budget_is_spent_when_all_of_it_is_used(budget: Budget, used: Used, sentence: str | None) -> None:
    why = budget.exceeded_reason(used)
    assert why == sentence if sentence is None else str(why).startswith(sentence)


def test_nothing_is_limited_unless_somebody_said_so() -> None:
    assert budgets(Agent(name="a", instructions="Hi."), Quotas()) == []


def test_each_limit_is_a_budget_in_tokens_and_in_millionths_of_a_dollar() -> None:
    agent = Agent(name="a", instructions="Hi.", max_session_tokens=10, max_session_cost=0.25)
    allowances = Quotas(cost_per_user_per_day=2, tokens_per_day=30)
    limits = budgets(agent, allowances)
    assert limits == [Budget("session", 10, 250_000), Budget("user", None, 2_000_000), Budget("tenant", 30, None)]
    assert costs_count(limits)
    assert not costs_count(limits[2:])
