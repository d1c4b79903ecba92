"""The agents' files, changed while a gateway runs: what it takes, what it leaves, and what it says about it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from gateway.background.agent_registry import AgentRegistry, default_of
from ringback.errors import ConfigurationError

SECRET = "whsec_" + "YWJj" * 10
HOOK = '[webhook]\nurl = "https://example.test/late"\nsecret_env = "HOOK_SECRET"\n'


def write(folder: Path, name: str, instructions: str, more: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f"instructions = {instructions!r}\n{more}", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "demo", "Be kind.")
    write(tmp_path, "night", "Be quiet.")
    return tmp_path


@pytest.fixture
def registry(folder: Path, caplog: pytest.LogCaptureFixture) -> AgentRegistry:
    caplog.set_level(logging.INFO, "gateway.background.agent_registry")
    return AgentRegistry(folder, "demo", {"HOOK_SECRET": SECRET})


def look_until_settled(registry: AgentRegistry) -> None:
    """A change counts at the look after the one that saw it first."""
    registry.take_changes()
    registry.take_changes()


def test_a_changed_file_is_taken_once_it_has_been_left_alone(folder: Path, registry: AgentRegistry) -> None:
    before = registry["demo"]
    write(folder, "demo", "Be brief, please.")
    registry.take_changes()
    assert registry["demo"] is before, "it may be half-written"
    registry.take_changes()
    assert registry["demo"].instructions == "Be brief, please."
    assert before.instructions == "Be kind.", "who has it keeps it"
    assert registry["night"].instructions == "Be quiet."


def test_a_file_that_is_still_being_written_is_waited_for(folder: Path, registry: AgentRegistry) -> None:
    for text in ("Be", "Be br", "Be brief"):
        write(folder, "demo", text)
        registry.take_changes()
        assert registry["demo"].instructions == "Be kind."
    registry.take_changes()
    assert registry["demo"].instructions == "Be brief"


def test_a_new_file_is_a_new_agent(folder: Path, registry: AgentRegistry) -> None:
    write(folder, "sales", "Sell.")
    look_until_settled(registry)
    assert sorted(registry) == ["demo", "night", "sales"]


def test_a_file_put_in_the_place_of_another_is_noticed(folder: Path, registry: AgentRegistry) -> None:
    old = (folder / "demo.toml").stat()
    fresh = write(folder, "fresh", "Be mild.")
    os.utime(fresh, ns=(old.st_atime_ns, old.st_mtime_ns))
    fresh.replace(folder / "demo.toml")
    assert (folder / "demo.toml").stat().st_size == old.st_size
    look_until_settled(registry)
    assert registry["demo"].instructions == "Be mild."


def test_a_file_that_became_wrong_is_told_of_once_and_the_last_good_agent_stays(
    folder: Path, registry: AgentRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "demo.toml").write_text("instructions = Be kind", encoding="utf-8")
    for _ in range(4):
        registry.take_changes()
    assert registry["demo"].instructions == "Be kind."
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith(f"{folder / 'demo.toml'}: not TOML: ")
    assert record.getMessage().endswith("; the agent stays as it was")
    write(folder, "demo", "Be well again.")
    look_until_settled(registry)
    assert registry["demo"].instructions == "Be well again."


def test_a_new_file_that_is_wrong_is_left_out(
    folder: Path, registry: AgentRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "sales.toml").write_text('voice = "marin"', encoding="utf-8")
    look_until_settled(registry)
    assert "sales" not in registry
    assert "instructions: is missing; it is left out" in caplog.text


def test_an_agent_whose_file_goes_is_gone_and_the_default_stays(
    folder: Path, registry: AgentRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "night.toml").unlink()
    (folder / "demo.toml").unlink()
    for _ in range(4):
        registry.take_changes()
    assert sorted(registry) == ["demo"]
    assert len(caplog.records) == 2
    assert "agent night removed with its file; sessions that have it keep it" in caplog.text
    assert "demo.toml is gone; as the default, the agent stays as it was" in caplog.text
    write(folder, "demo", "Be back.")
    look_until_settled(registry)
    assert registry["demo"].instructions == "Be back."


def test_a_folder_that_is_away_takes_no_agent_along(
    folder: Path, registry: AgentRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    folder.rename(folder.with_name("elsewhere"))
    for _ in range(4):
        registry.take_changes()
    assert sorted(registry) == ["demo", "night"]
    assert len(caplog.records) == 1
    assert "cannot be read (No such file or directory); the agents stay" in caplog.text


def test_a_folder_that_was_replaced_is_read(folder: Path, registry: AgentRegistry) -> None:
    folder.rename(folder.with_name("the folder before"))
    registry.take_changes()
    folder.mkdir()
    write(folder, "demo", "Be new.")
    look_until_settled(registry)
    assert {name: agent.instructions for name, agent in registry.items()} == {"demo": "Be new."}


def test_a_config_map_that_kubernetes_swaps_is_read(tmp_path: Path, registry: AgentRegistry) -> None:
    """Each file is a link through the link `..data`, which is what Kubernetes exchanges."""
    for version, instructions in (("..1", "Be first."), ("..2", "Be other.")):
        (tmp_path / version).mkdir()
        write(tmp_path / version, "demo", instructions)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "demo.toml").unlink()
    (tmp_path / "demo.toml").symlink_to("..data/demo.toml")
    look_until_settled(registry)
    assert registry["demo"].instructions == "Be first."
    (tmp_path / "..data_new").symlink_to("..2")
    (tmp_path / "..data_new").replace(tmp_path / "..data")
    look_until_settled(registry)
    assert registry["demo"].instructions == "Be other."


def test_a_link_to_a_file_elsewhere_is_followed(tmp_path: Path, registry: AgentRegistry) -> None:
    elsewhere = tmp_path / "agents of another folder"
    elsewhere.mkdir()
    (tmp_path / "sales.toml").symlink_to(write(elsewhere, "sales", "Sell."))
    look_until_settled(registry)
    write(elsewhere, "sales", "Sell more.")
    look_until_settled(registry)
    assert registry["sales"].instructions == "Sell more."


def test_what_says_the_same_in_other_words_is_no_news(
    folder: Path, registry: AgentRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    before = registry["demo"]
    write(folder, "demo", "Be kind.", "# a comment\n")
    look_until_settled(registry)
    assert registry["demo"] is before
    assert caplog.records == []


def test_a_webhook_whose_secret_is_missing_leaves_the_agent_as_it_was(
    folder: Path, registry: AgentRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, "demo", "Be signed.", HOOK.replace("HOOK_SECRET", "NO_SECRET"))
    look_until_settled(registry)
    assert registry["demo"].webhook is None
    assert "webhook.secret_env names NO_SECRET, which is not set in the environment" in caplog.text
    write(folder, "demo", "Be signed.", HOOK)
    look_until_settled(registry)
    assert registry["demo"].webhook is not None


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, r"demo\.toml: webhook\.secret_env names HOOK_SECRET, which is not set in the environment"),
        ({"HOOK_SECRET": "short"}, r"demo\.toml: webhook\.secret_env: HOOK_SECRET is not usable: a secret is whsec_"),
    ],
)
def test_a_gateway_does_not_start_without_the_secret(folder: Path, environment: dict[str, str], sentence: str) -> None:
    write(folder, "demo", "Be signed.", HOOK)
    with pytest.raises(ConfigurationError, match=sentence) as raised:
        AgentRegistry(folder, "demo", environment)
    assert "short" not in str(raised.value)


def test_a_gateway_does_not_start_without_the_secret_of_a_hosted_tool(folder: Path) -> None:
    mcp = 'type = "mcp"\nserver_label = "docs"\nserver_url = "https://docs.example/mcp"\nrequire_approval = "never"\n'
    secrets = 'authorization_env = "DOCS_TOKEN"\nheaders_env = {X-Shop = "SHOP_KEY"}\n'
    write(folder, "demo", "Be signed.", f"[[session.tools]]\n{mcp}{secrets}")
    for environment, missing in (({}, "DOCS_TOKEN"), ({"DOCS_TOKEN": "t"}, "SHOP_KEY")):
        sentence = rf"demo\.toml: session\.tools names {missing}, which is not set in the environment"
        with pytest.raises(ConfigurationError, match=sentence):
            AgentRegistry(folder, "demo", environment)
    assert AgentRegistry(folder, "demo", {"DOCS_TOKEN": "t", "SHOP_KEY": "k"})["demo"].hosted_tools


def test_a_gateway_does_not_start_without_its_default_agent(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="RINGBACK_DEFAULT_AGENT=sales is none of the agents: demo, night"):
        AgentRegistry(folder, "sales", {})
    with pytest.raises(ConfigurationError, match="holds no agent"):
        AgentRegistry(folder / "nowhere", "demo", {})


@pytest.mark.parametrize(
    ("names", "chosen", "default"),
    [
        (["sales"], None, "sales"),
        (["sales"], "", "sales"),
        (["sales", "demo"], None, "demo"),
        (["sales", "demo"], "sales", "sales"),
    ],
)
def test_a_folder_with_one_agent_needs_no_default(names: list[str], chosen: str | None, default: str) -> None:
    assert default_of(names, chosen) == default


def test_several_agents_need_a_default_unless_one_is_the_demo() -> None:
    with pytest.raises(ConfigurationError, match=r"RINGBACK_DEFAULT_AGENT is not set.* one of night, sales$"):
        default_of(["sales", "night"], None)
