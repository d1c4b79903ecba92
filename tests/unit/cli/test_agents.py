"""`ringback agents`: what is wrong with a file is said before a gateway meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_main import run

MCP = (
    '[[session.tools]]\ntype = "mcp"\nserver_label = "docs"\nserver_url = "https://docs.example/mcp"\n'
    'require_approval = "never"\nauthorization_env = "DOCS_TOKEN"\n'
)
HOOK = '[webhook]\nurl = "https://example.test/late"\nsecret_env = "HOOK_SECRET"\n'


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "tests.unit.cli.tools.sample_tools")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("HOOK_SECRET", "RINGBACK_AGENTS", "RINGBACK_DEFAULT_AGENT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/demo.toml").write_text('instructions = "Be kind."\ntools = ["bake", "*"]\n', encoding="utf-8")
    return tmp_path / "agents"


def test_a_file_that_is_well_is_ok(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(monkeypatch, "agents", "check") == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("agents/demo.toml: ok\n", "")


def test_each_file_is_told_of_and_one_that_is_wrong_makes_it_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "broken.toml").write_text("instructions = Be kind.", encoding="utf-8")
    (folder / "silent.toml").write_text('voice = "marin"\n', encoding="utf-8")
    assert run(monkeypatch, "agents", "check", str(folder)) == 1
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{folder}/broken.toml: not TOML: ")
    assert second == f"{folder}/demo.toml: ok"
    assert third == f"{folder}/silent.toml: instructions: is missing"
    assert run(monkeypatch, "agents", "check", str(folder), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["problem"] for each in told["data"]] == [first, None, third]
    assert told["data"][1] == {"file": f"{folder}/demo.toml", "problem": None, "warnings": []}


def test_agents_are_listed_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(monkeypatch, "agents", "list", "--json") == 0
    (agent,) = json.loads(capsys.readouterr().out)["data"]
    model = agent.pop("model")
    assert model
    assert agent == {
        "object": "agent",
        "name": "demo",
        "voice": None,
        "output_modalities": ["audio"],
        "webhook": False,
        "tools": ["bake", "*"],
        "hosted_tools": [],
    }


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        (
            'tools = ["bake", "cook", "brew"]\n',
            "no tool module or tool file declares brew, cook",
        ),
        (HOOK, "webhook.secret_env names HOOK_SECRET, which is not set in the environment"),
        (MCP, "session.tools names DOCS_TOKEN, which is not set in the environment"),
    ],
)
def test_what_may_be_wrong_elsewhere_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, more: str, warning: str
) -> None:
    (folder / "demo.toml").write_text(f'instructions = "Be kind."\n{more}', encoding="utf-8")
    assert run(monkeypatch, "agents", "check") == 0
    ok, warned = capsys.readouterr().out.splitlines()
    assert ok == "agents/demo.toml: ok"
    assert warned.startswith(f"agents/demo.toml: warning: {warning}")
    assert run(monkeypatch, "agents", "check", "--json") == 0
    (checked,) = json.loads(capsys.readouterr().out)["data"]
    assert [f"agents/demo.toml: warning: {each}" for each in checked["warnings"]] == [warned]


def test_a_default_agent_that_is_not_there_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setenv("RINGBACK_DEFAULT_AGENT", "sales")
    assert run(monkeypatch, "agents", "check") == 0
    assert "agents: warning: RINGBACK_DEFAULT_AGENT=sales is none of the agents" in capsys.readouterr().out
    assert run(monkeypatch, "agents", "check", "--json") == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith("RINGBACK_DEFAULT_AGENT=sales is none of the agents")


def test_a_file_where_a_folder_is_wanted_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(monkeypatch, "agents", "check", "agents/demo.toml") == 2
    assert "agents/demo.toml is a file: name the folder of the agents' files" in capsys.readouterr().err


def test_without_tools_everything_else_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "no_such_module")
    assert run(monkeypatch, "agents", "check") == 0
    printed = capsys.readouterr()
    assert printed.out == "agents/demo.toml: ok\n"
    assert printed.err.startswith("ringback: the agents' tools are not checked: RINGBACK_TOOL_MODULES names no_such")


@pytest.mark.parametrize("words", [("check", "nowhere"), ("list", "nowhere")])
def test_a_folder_without_agents_gets_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, "agents", *words) == 2
    assert capsys.readouterr().err == "ringback: nowhere holds no agent: write one, such as nowhere/demo.toml\n"


def test_agents_are_listed_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    text = f'instructions = "Be brief."\nmodel = "m-2"\nvoice = "marin"\noutput_modalities = ["text"]\n{HOOK}'
    (folder / "night.toml").write_text(text, encoding="utf-8")
    sounds = '[session.audio.output]\nvoice = {id = "voice_7"}\n'
    (folder / "odd.toml").write_text(f'instructions = "Hi."\n{sounds}{MCP}', encoding="utf-8")
    assert run(monkeypatch, "agents", "list") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["AGENT", "MODEL", "VOICE", "SPEAKS", "WEBHOOK", "TOOLS"],
        ["demo", "gpt-realtime-2.1", "–", "audio", "–", "bake,", "*"],
        ["night", "m-2", "marin", "text", "yes", "–"],
        ["odd", "gpt-realtime-2.1", "voice_7", "audio", "–", "docs"],
    ]


def test_the_setting_of_the_gateway_names_the_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    folder.rename(folder.with_name("people"))
    monkeypatch.setenv("RINGBACK_AGENTS", "people")
    assert run(monkeypatch, "agents", "check") == 0
    assert capsys.readouterr().out == "people/demo.toml: ok\n"
