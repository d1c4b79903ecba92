"""Budgets of a session, its user and its tenant: whether anything is left. The last response may overdraw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ringback.agents.agent import Agent
from ringback.agents.quotas import Quotas

MICROS = 1_000_000
"""Micros in a US dollar."""

Whose = Literal["session", "user", "tenant"]

_SENTENCES = {
    "session": "This session has used all the {what} that it may.",
    "user": "You have used all the {what} that you may use today. There is more from 00:00 UTC on.",
    "tenant": "All the {what} that may be used today are used. There are more from 00:00 UTC on.",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """Budget in tokens and in millionths of a US dollar. None: no limit."""

    whose: Whose
    tokens: int | None = None
    micros: int | None = None

    def exceeded_reason(self, used: Used) -> str | None:
        """Return a sentence for the client if the budget is used up. It names no figure: those are the operator's."""
        if self.tokens is not None and used.tokens >= self.tokens:
            return _SENTENCES[self.whose].format(what="tokens")
        if self.micros is not None and used.micros >= self.micros:
            return _SENTENCES[self.whose].format(what="funds")
        return None


@dataclass(frozen=True, slots=True)
class Used:
    """Usage so far."""

    tokens: int = 0
    micros: int = 0


def budgets(agent: Agent, allowances: Quotas) -> list[Budget]:
    """Return the limited budgets, the narrowest first."""
    every: tuple[tuple[Whose, int | None, float | None], ...] = (
        ("session", agent.max_session_tokens, agent.max_session_cost),
        ("user", allowances.tokens_per_user_per_day, allowances.cost_per_user_per_day),
        ("tenant", allowances.tokens_per_day, allowances.cost_per_day),
    )
    limited = [each for each in every if each[1:] != (None, None)]
    return [Budget(whose, tokens, _micros(cost)) for whose, tokens, cost in limited]


def costs_count(limits: Iterable[Budget]) -> bool:
    """Return true if money is limited: a model without a price would run for free."""
    return any(budget.micros is not None for budget in limits)


def _micros(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * MICROS)
