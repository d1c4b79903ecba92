"""docs/agents.md lists each field of an agent's file with its default, and its example is a valid file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringback.agents.agent import Agent, load_agent
from ringback.agents.client_policy import Clients
from ringback.agents.hosted_tools import McpTool
from ringback.agents.phone import Phone
from ringback.agents.session import AgentSession
from ringback.config.toml_tables import keys_of, paths

PAGE = (Path(__file__).parents[4] / "docs" / "agents.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", PAGE.partition("## The session")[0], re.MULTILINE)
IN_WORDS = {"required", "none", "no", "the provider's", "the presets"}
NAME = re.compile(r"`([a-z_.]+)`")


def test_each_field_stands_there_once_and_in_the_order_of_the_code() -> None:
    assert [name for name, _ in ROWS] == [name for name in keys_of(Agent) if name != "name"]


def test_the_defaults_are_the_codes() -> None:
    plain = Agent(name="plain", instructions="Be kind.").model_dump()
    plain |= {"turn_detection": plain["turn_detection"]["type"], "output_modalities": ["audio"], "tenants": ["*"]}
    plain["session"] = plain.pop("session_fields")["provider"]
    plain["clients"] = None if Agent(name="plain", instructions="Be kind.").clients == Clients() else "changed"
    for name, told in ROWS:
        if told in IN_WORDS:
            assert name == "instructions" or not plain[name], name
        else:
            assert told.strip("`").replace(",", "").replace('"', "'") == _as_told(plain[name]), name


def test_the_example_is_an_agent(tmp_path: Path) -> None:
    example = EXAMPLES[0]
    (tmp_path / "bakery.toml").write_text(example, encoding="utf-8")
    agent = load_agent(tmp_path / "bakery.toml")
    assert agent.quiet_seconds == 1.5
    assert agent.webhook is not None
    assert agent.session([])["truncation"] == {"type": "retention_ratio", "retention_ratio": 0.8}


@pytest.mark.parametrize("more", EXAMPLES[1:])
def test_the_other_examples_go_into_one(tmp_path: Path, more: str) -> None:
    (tmp_path / "bakery.toml").write_text(f"{EXAMPLES[0]}\n{more}", encoding="utf-8")
    assert load_agent(tmp_path / "bakery.toml").hosted_tools


def test_each_field_of_a_session_stands_there() -> None:
    rows = table("field of `[session]`")
    said = {f"{row[0]}.{name}" for row in rows for name in NAME.findall(row[1])} | {row[0] for row in rows}
    said |= {f"truncation.token_limits.{name}" for row in rows for name in NAME.findall(row[1])}
    groups = {"audio", "audio.input", "audio.output", "reasoning"}
    needed = {path for path in paths(AgentSession) if not path.startswith("tools.")} - groups
    # A choice has a section of its own, and all kinds of turn detection one row.
    assert {path for path in needed if not path.startswith("tool_choice.")} <= said
    choice = PAGE[PAGE.index("### A choice of tools") :]
    assert all(path.partition(".")[2] in choice for path in needed if path.startswith("tool_choice."))


def test_each_field_of_a_hosted_tool_stands_there() -> None:
    rows = table("field of `[[session.tools]]`")
    assert {name for row in rows for name in row[0].split(", ")} == set(McpTool.model_fields)


def test_each_field_of_the_phone_stands_there_with_its_default() -> None:
    rows = {name: told.strip("`") for name, told, _ in table("field of `[phone]`")}
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Phone.model_fields.items()}
    assert rows.keys() == defaults.keys()
    words = {"headers": "none", "transfer_to": "none", "greets": "yes", "ends_calls": "yes", "callers": '["*"]'}
    assert rows == {"numbers": "required", "tenant": defaults["tenant"], **words}


def table(head: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is `head`; the first cell without backticks."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[ \-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"no table begins with {head}"
    rows = [row.strip("|\n ").split(" | ") for row in found[1].splitlines()]
    return [[first.replace("`", ""), *others] for first, *others in rows]


def _as_told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
