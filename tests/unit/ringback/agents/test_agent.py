"""An agent's file is loaded, or one sentence says what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.agents.agent import Agent, load_agent, load_agents
from ringback.errors import ConfigurationError

MINIMAL = 'instructions = "Be kind."\n'
TOOLS = [{"type": "function", "name": "weather"}]


def agent(folder: Path, text: str = MINIMAL, name: str = "demo.toml") -> Agent:
    (folder / name).write_text(text, encoding="utf-8")
    return load_agent(folder / name)


def test_instructions_are_enough(tmp_path: Path) -> None:
    session = agent(tmp_path).session([])
    assert session == {
        "type": "realtime",
        "instructions": "Be kind.",
        "output_modalities": ["audio"],
        "audio": {"input": {"turn_detection": {"type": "server_vad"}}},
        "tools": [],
        "tool_choice": "auto",
    }


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + """
        model = "gpt-realtime-2.1-mini"
        voice = "marin"
        output_modalities = ["text"]
        tools = ["weather"]
        tool_choice = "required"
        transcription_model = "gpt-transcribe"
        max_calls_at_once = 3
        gather_seconds = 0
        [turn_detection]
        type = "semantic_vad"
        eagerness = "high"
        """
    )
    said = agent(tmp_path, text)
    assert (said.name, said.model, said.max_calls_at_once, said.gather_seconds) == (
        "demo",
        "gpt-realtime-2.1-mini",
        3,
        0,
    )
    session = said.session(TOOLS)
    assert session["tools"] == TOOLS
    assert session["tool_choice"] == "required"
    assert session["output_modalities"] == ["text"]
    assert session["audio"] == {
        "input": {
            "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
            "transcription": {"model": "gpt-transcribe"},
        },
        "output": {"voice": "marin"},
    }


def test_a_choice_among_no_tools_is_left_to_the_model(tmp_path: Path) -> None:
    said = agent(tmp_path, MINIMAL + 'tool_choice = "required"')
    assert said.session([])["tool_choice"] == "auto", "a server refuses a required tool where there is none"


def test_an_empty_table_turns_turn_detection_off(tmp_path: Path) -> None:
    said = agent(tmp_path, MINIMAL + "turn_detection = {}")
    assert said.session([])["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("tools", "allowed"),
    [("[]", set()), ('["weather"]', {"weather"}), ('["weather", "quote"]', {"weather", "quote"})],
)
def test_only_named_tools_are_allowed(tmp_path: Path, tools: str, allowed: set[str]) -> None:
    said = agent(tmp_path, MINIMAL + f"tools = {tools}")
    assert {name for name in ("weather", "quote", "order") if said.allows(name)} == allowed


def test_a_star_allows_every_tool(tmp_path: Path) -> None:
    assert agent(tmp_path, MINIMAL + 'tools = ["*"]').allows("anything")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "instructions: is missing"),
        ('instructions = ""', "instructions: "),
        (MINIMAL + "instruction = 1", "instruction: is not known here: did you mean instructions?"),
        (MINIMAL + 'tools = "weather"', 'tools: write a list, such as tools = ["…"]'),
        (MINIMAL + "max_calls_at_once = 0", "max_calls_at_once: "),
        (MINIMAL + "gather_seconds = 11", "gather_seconds: "),
        (MINIMAL + 'output_modalities = ["audio", "text"]', "output_modalities: "),
        (MINIMAL + 'tool_choice = "maybe"', "tool_choice: "),
        (MINIMAL + 'name = "other"', "leave out `name`: an agent is named like its file"),
        ("instructions = Be kind.", "not TOML: "),
        (MINIMAL + MINIMAL, "not TOML: "),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_the_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        agent(tmp_path, text)
    assert str(raised.value).startswith(f"{tmp_path / 'demo.toml'}: {said}")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_bytes(b'instructions = "\xff"')
    with pytest.raises(ConfigurationError, match=r"demo\.toml: not TOML: "):
        load_agent(tmp_path / "demo.toml")


@pytest.mark.parametrize("name", ["Demo.toml", "two words.toml", "-x.toml", "x" * 65 + ".toml", ".toml"])
def test_a_name_that_no_client_could_give_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="an agent's file is named with a-z, 0-9, - and _"):
        agent(tmp_path, name=name)


def test_every_agent_of_a_folder_is_read_by_its_name(tmp_path: Path) -> None:
    for name in ("demo.toml", "night-shift.toml"):
        agent(tmp_path, name=name)
    (tmp_path / "notes.txt").write_text("no agent", encoding="utf-8")
    assert sorted(load_agents(tmp_path)) == ["demo", "night-shift"]


def test_a_folder_without_agents_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no agent: write one, such as "):
        load_agents(tmp_path)
    with pytest.raises(ConfigurationError, match="holds no agent"):
        load_agents(tmp_path / "nowhere")
