"""Which prices hold here, and whether there is one for each model that has to have one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.settings import GatewaySettings
from ringback.agents.agent import Agent
from ringback.errors import ConfigurationError
from ringback.usage.budgets import budgets, costs_count
from ringback.usage.prices import Prices, load_prices

SHIPPED = Path(__file__).with_name("prices.toml")


def price_table(own: Path | None) -> Prices:
    """The shipped prices, and over them those of a file of one's own.

    Raises:
        ConfigurationError: the file cannot be used; the text says why.
    """
    shipped = load_prices(SHIPPED)
    return shipped if own is None else shipped.under(load_prices(own))


def model_of(settings: GatewaySettings, agent: Agent) -> str:
    """The model that an agent's sessions really use: it is the one that is paid for."""
    return settings.realtime_model or agent.model


def prices_for(settings: GatewaySettings, agents: Iterable[Agent]) -> Prices:
    """The price table, which knows the model of every agent whose cost is limited.

    Raises:
        ConfigurationError: it does not: a session would run for nothing.
    """
    prices = price_table(settings.prices)
    for agent in agents:
        model = model_of(settings, agent)
        if costs_count(budgets(agent, settings.allowances)) and prices.of(model) is None:
            raise ConfigurationError(
                f"agent {agent.name}: a cost is limited, and {model} has no price: add it to the file that "
                "RINGBACK_PRICES names"
            )
    return prices
