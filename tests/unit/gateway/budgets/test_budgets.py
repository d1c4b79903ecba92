"""Which prices hold, and that no model runs for nothing where money is limited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.budgets.budgets import SHIPPED, model_of, price_table, prices_for
from gateway.settings import GatewaySettings
from ringback.agents.agent import Agent
from ringback.errors import ConfigurationError
from ringback.usage.prices import Usage, load_prices

AGENT = Agent(name="demo", instructions="Hello.")
OURS = '[models."my-deployment"]\ntext = { input = 1, output = 2 }\n'


def settings(**given: Any) -> GatewaySettings:
    stores = {
        "DATABASE_URL": "postgresql://localhost/x",
        "REDIS_URL": "redis://localhost",
        "RINGBACK_TOKENS": "a:" + 12 * "b",
    }
    return GatewaySettings(**{**stores, **given}, _env_file=None)


def test_the_shipped_table_has_the_model_that_agents_have_by_default() -> None:
    assert price_table(None).micros(AGENT.model, Usage(text_in=1, audio_in=1, audio_out=1)) == 4 + 32 + 64


@pytest.mark.parametrize("model", sorted(load_prices(SHIPPED).models))
def test_in_the_shipped_table_audio_costs_more_than_text_and_what_was_cached_less(model: str) -> None:
    price = load_prices(SHIPPED).models[model]
    assert price.audio is not None
    assert price.text.cached_input is not None
    assert price.text.cached_input < price.text.input < price.audio.input < price.audio.output


def test_a_table_of_ones_own_goes_over_the_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(OURS + f'[models."{AGENT.model}"]\ntext = {{ input = 7 }}\n', encoding="utf-8")
    table = price_table(own)
    assert table.micros("my-deployment", Usage(text_in=1, text_out=1)) == 3
    assert table.micros(AGENT.model, Usage(audio_in=1)) == 7
    assert table.of("gpt-realtime") is not None


def test_the_model_that_is_paid_for_is_the_one_that_is_used() -> None:
    assert model_of(settings(), AGENT) == AGENT.model
    assert model_of(settings(REALTIME_MODEL="my-deployment"), AGENT) == "my-deployment"


DEAR = AGENT.model_copy(update={"max_session_cost": 1.0})


@pytest.mark.parametrize(
    ("agent", "given"),
    [(DEAR, {}), (AGENT, {"RINGBACK_COST_PER_USER_PER_DAY": "2"}), (AGENT, {"RINGBACK_COST_PER_TENANT_PER_DAY": "0"})],
)
def test_a_gateway_does_not_start_where_a_cost_is_limited_that_nobody_knows(
    tmp_path: Path, agent: Agent, given: dict[str, str]
) -> None:
    here = settings(REALTIME_MODEL="my-deployment", **given)
    with pytest.raises(ConfigurationError, match="agent demo: a cost is limited, and my-deployment has no price: add"):
        prices_for(here, [agent])
    (tmp_path / "own.toml").write_text(OURS, encoding="utf-8")
    own = settings(REALTIME_MODEL="my-deployment", RINGBACK_PRICES=str(tmp_path / "own.toml"), **given)
    assert prices_for(own, [agent]).of("my-deployment") is not None


def test_a_model_without_a_price_is_none_of_our_business_where_no_cost_is_limited() -> None:
    prices_for(settings(REALTIME_MODEL="my-deployment", RINGBACK_TOKENS_PER_USER_PER_DAY="1"), [AGENT])
