"""docs/agents.md: each field of an agent's file, with its default; and the example is a file that can be used."""

from __future__ import annotations

import re
from pathlib import Path

from ringback.agents import Agent, load_agent
from ringback.clients import Clients

PAGE = (Path(__file__).parents[3] / "docs" / "agents.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", PAGE, re.MULTILINE)
IN_WORDS = {"required", "none", "the provider's", "the presets"}


def test_each_field_stands_there_once_and_in_the_order_of_the_code() -> None:
    assert [name for name, _ in ROWS] == [name for name in Agent.model_fields if name != "name"]


def test_the_defaults_are_the_codes() -> None:
    plain = Agent(name="plain", instructions="Be kind.").model_dump()
    plain |= {"turn_detection": plain["turn_detection"]["type"], "output_modalities": ["audio"], "tenants": ["*"]}
    plain["clients"] = None if Agent(name="plain", instructions="Be kind.").clients == Clients() else "changed"
    for name, told in ROWS:
        if told in IN_WORDS:
            assert name == "instructions" or not plain[name], name
        else:
            assert told.strip("`").replace(",", "").replace('"', "'") == _as_told(plain[name]), name


def test_the_example_is_an_agent(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "bakery.toml").write_text(example, encoding="utf-8")
    agent = load_agent(tmp_path / "bakery.toml")
    assert agent.quiet_seconds == 1.5
    assert agent.webhook is not None


def _as_told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
