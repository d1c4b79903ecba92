"""`ringback tools` with no server: what is declared, what a model is told of it, and a call made here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.tools.commands import limits_in_words, rate_in_words
from ringback.history.serving import ServedTool
from ringback.tools.behavior import Limits
from ringback.tools.declaration import per_second
from tests.unit.cli.test_main import run


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "tests.unit.cli.tools.sample_tools")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def test_tools_are_listed_one_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "tools", "list") == 0
    header, first, *rest = capsys.readouterr().out.splitlines()
    assert header.split() == ["TOOL", "QUEUE", "EFFECT", "TIMEOUT", "RETRIES", "LIMITS"]
    assert first.split(None, 6)[:6] == ["bake", "bakery", "pure", "15", "s", "0"]
    assert "2 at once; 30/m, 5 in a burst; not called for 60 s after 3" in first
    assert [line.split()[0] for line in rest if not line.startswith(" ")] == [
        "crash",
        "dawdle",
        "lock_up",
        "nothing",
        "refuse",
        "who_asks",
    ]


def test_tools_are_listed_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "tools", "list", "--json") == 0
    first, *rest = json.loads(capsys.readouterr().out)["data"]
    assert (first["name"], first["queue"], first["timeout"], len(rest)) == ("bake", "bakery", 15, 6)
    assert first["limits"]["concurrency"] == 2
    assert first.keys() == ServedTool.model_fields.keys() - {"workers"}


def test_the_schema_is_what_the_model_gets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "tools", "schema", "bake") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["type"], told["name"], told["description"]) == ("function", "bake", "Bake a cake.")
    assert told["parameters"]["properties"]["cake"] == {"type": "string", "description": "which one."}


def test_a_result_is_printed_as_the_model_would_read_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cake=apple", "count=3", "when=2026-01-01", 'to={"street": "Mill Lane"}', "size=large"]
    assert run(monkeypatch, "tools", "run", "bake", *words) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "cake": "apple",
        "count": 3,
        "size": "large",
        "when": "2026-01-01",
        "to": {"street": "Mill Lane", "number": 1},
        "notes": [],
    }
    assert printed.err == ""


def test_a_text_is_printed_as_it_is_and_progress_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--user", "ada", "--claims", '{"role": "baker"}']
    assert run(monkeypatch, "tools", "run", "who_asks", *said) == 0
    printed = capsys.readouterr()
    assert printed.out == "ada baker 1\n"
    assert printed.err == "… looking\n"


@pytest.mark.parametrize(
    ("tool", "sentences"),
    [
        ("refuse", ["ringback: no_flour: There is no flour; offer bread."]),
        ("dawdle", ["ringback: outcome_unknown: It is not known whether the action took effect. Do not repeat it; "]),
        ("crash", ["ringback: crash raised KeyError: 'oven\\ndoor' at ", "ringback: tool_failed: The function failed"]),
    ],
)
def test_an_error_is_told_as_the_model_would_hear_it_and_a_fault_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tool: str, sentences: list[str]
) -> None:
    assert run(monkeypatch, "tools", "run", tool) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == len(sentences)
    assert all(line.startswith(sentence) for line, sentence in zip(lines, sentences, strict=True))
    assert ("sample_tools.py:" in printed.err) == (tool == "crash")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "cook"], "there is no tool 'cook'; there are bake, crash, dawdle, lock_up, nothing, refuse"),
        (["schema", "cook"], "there is no tool 'cook'"),
        (["run", "bake", "cake=a", "count=0"], "count: Input should be greater than or equal to 1"),
        (["run", "bake", "--claims", "3"], "--claims must be one JSON object"),
        (["run", "bake", "--user", " "], "--user must not be empty"),
        (["run", "bake", "--queue"], "DATABASE_URL is not set"),
        (["list", "--live"], "DATABASE_URL is not set"),
        (["run"], "See `ringback tools run --help`"),
    ],
)
def test_wrong_input_gets_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run(monkeypatch, "tools", *words) == 2
    text = capsys.readouterr().err
    assert sentence in text
    assert len(text.splitlines()) == 1


def test_a_module_beside_the_command_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = 'from ringback import tool\n\n\n@tool\ndef here() -> str:\n    """Be here."""\n    return "here"\n'
    (tmp_path / "tools_beside_the_command.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "tools_beside_the_command")
    assert run(monkeypatch, "tools", "run", "here") == 0
    assert capsys.readouterr().out == "here\n"


def test_a_plain_function_is_reported_if_a_worker_would_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = "import time\nfrom ringback import tool\n\n@tool(timeout=0.001)\ndef nap() -> str:\n    'Nap.'\n"
    (tmp_path / "napping.py").write_text(f"{text}    time.sleep(0.06)\n    return 'rested'\n", encoding="utf-8")
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "napping")
    assert run(monkeypatch, "tools", "run", "nap") == 0
    printed = capsys.readouterr()
    assert printed.out == "rested\n"
    assert re.fullmatch(r"ringback: nap took \d\.\d s; a worker stops waiting after 0.001 s\n", printed.err)


def test_a_module_that_cannot_be_imported_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "no_such_module")
    assert run(monkeypatch, "tools", "list") == 2
    assert "RINGBACK_TOOL_MODULES names no_such_module, which cannot be imported" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["1/s", "7/s", "30/m", "59/m", "500/h", "1/h", "999999/s"])
def test_a_rate_is_told_as_it_was_declared(rate: str) -> None:
    assert rate_in_words(per_second("bake", rate)) == rate


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(), ""),
        (Limits(concurrency=4), "4 at once"),
        (Limits(rate=0.5), "30/m"),
        (Limits(rate=1.0, burst=5), "1/s, 5 in a burst"),
        (Limits(breaker_failures=5), "not called for 30 s after 5 failures"),
        (Limits(concurrency=1, rate=2.0), "1 at once; 2/s"),
    ],
)
def test_limits_are_told_in_words(limits: Limits, words: str) -> None:
    assert limits_in_words(limits) == words


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ([], ["bakery:keys"]),
        (["--scopes", "eu, bakery:keys"], ["bakery:keys", "eu"]),
        (["--claims", '{"scopes": ["bakery:keys", "a"]}'], ["bakery:keys", "a"]),
    ],
)
def test_whoever_types_it_holds_what_the_tool_asks_for_or_what_they_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: list[str], held: list[str]
) -> None:
    assert run(monkeypatch, "tools", "run", "lock_up", *said) == 0
    assert json.loads(capsys.readouterr().out) == held


@pytest.mark.parametrize("said", [["--scopes", ""], ["--scopes", "bakery"], ["--claims", '{"scopes": []}']])
def test_a_tool_is_not_run_for_those_who_may_not_use_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: list[str]
) -> None:
    assert run(monkeypatch, "tools", "run", "lock_up", *said) == 1
    assert "ringback: not_allowed: The user is not allowed to use the function lock_up." in (capsys.readouterr().err)
