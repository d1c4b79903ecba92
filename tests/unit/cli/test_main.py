"""The command line as a person meets it: help that reads well, and one sentence for what cannot work."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from cli.main import main

COMMANDS = [
    "demo",
    "up",
    "gateway",
    "worker",
    "simulator",
    "migrate",
    "check",
    "jobs",
    "sessions",
    "tools",
    "new-tool",
    "agents",
    "token",
    "users",
    "tenants",
    "usage",
    "data-key",
]

GOOD_SETTINGS = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "RINGBACK_TOKENS": "demo:a-token-of-some-length",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "RINGBACK_TOKENS", "REALTIME_PROVIDER", "REALTIME_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringback", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    assert [command for command in COMMANDS if command not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    text = capsys.readouterr().out
    assert "usage" in text.lower()
    assert len(text.splitlines()) > 4


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (["gateway"], {}, "DATABASE_URL is not set"),
        (["gateway"], {"DATABASE_URL": "mysql://x"}, "DATABASE_URL is not usable: must look like postgresql://"),
        (["gateway"], {"REDIS_URL": "http://x"}, "REDIS_URL is not usable: must look like redis://"),
        (["gateway"], {**GOOD_SETTINGS, "RINGBACK_TOKENS": "x"}, "RINGBACK_TOKENS is not usable: must look like user:"),
        (["gateway"], {**GOOD_SETTINGS, "RINGBACK_TOKENS": "a:short"}, "12 characters or more"),
        (["gateway"], {**GOOD_SETTINGS, "REALTIME_PROVIDER": "openai"}, "REALTIME_API_KEY is not set"),
        (["gateway"], {**GOOD_SETTINGS, "RINGBACK_PORT": "many"}, "RINGBACK_PORT is not usable"),
        (["gateway"], {**GOOD_SETTINGS, "RINGBACK_AGENTS": "nowhere"}, "holds no agent"),
        (["gateway", "--port", "1"], {}, "--port"),
        (["worker"], {}, "DATABASE_URL is not set"),
        (["worker", "--queues", ","], GOOD_SETTINGS, "--queues names no queue"),
        (["worker", "--processes", "2"], {}, "DATABASE_URL is not set"),
        (["worker", "--processes", "2", "--pool", "prefork"], GOOD_SETTINGS, "--processes is for --pool threads"),
        (["gateway", "--processes", "0"], GOOD_SETTINGS, "--processes"),
        (["gateway", "--processes", "2"], {}, "DATABASE_URL is not set"),
        (
            ["gateway"],
            {**GOOD_SETTINGS, "RINGBACK_GATEWAY_PROCESSES": "65"},
            "RINGBACK_GATEWAY_PROCESSES is not usable",
        ),
        (["worker", "--concurrency", "0"], GOOD_SETTINGS, "--concurrency"),
        (["migrate"], {}, "DATABASE_URL is not set"),
        (["token", "static", "a:b"], {}, "USER must hold no colon"),
        (["token", "static"], {}, "See `ringback token static --help`"),
        (
            ["worker", "--pool", "gevent"],
            {},
            "'--pool': 'gevent' is not one of 'threads', 'prefork'. See `ringback wor",
        ),
        (["token", "create", "--user", "me"], {}, "DATABASE_URL is not set"),
        (["token", "create"], GOOD_SETTINGS, "See `ringback token create --help`"),
        (["users", "sign-out"], GOOD_SETTINGS, "See `ringback users sign-out --help`"),
        (["demo", "--output", "nowhere/answer.wav"], {}, "nowhere is no folder"),
        (["up", "--port", "70000"], {}, "--port"),
        (["jobs", "list"], {}, "DATABASE_URL is not set"),
        (["jobs", "list", "--state", "lost"], GOOD_SETTINGS, "lost"),
        (["sessions", "show"], GOOD_SETTINGS, "See `ringback sessions show --help`"),
        (["nonsense"], {}, "nonsense"),
    ],
)
def test_wrong_input_gets_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    settings: dict[str, str],
    sentence: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert run(monkeypatch, *words) == 2
    text = capsys.readouterr().err
    assert sentence in text
    assert len(text.splitlines()) == 1
    assert "a-token-of-some-length" not in text


def test_a_dotenv_that_is_no_utf_8_gets_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("RINGBACK_PORT=8081\n", encoding="utf-16")  # as `>` of PowerShell 5 writes
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "jobs", "list") == 2
    assert capsys.readouterr().err == "ringback: .env is not UTF-8: save it as UTF-8 text\n"


def test_a_database_that_does_not_answer_is_no_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret-word@/none?host=/nowhere")
    assert run(monkeypatch, "migrate") == 1
    text = capsys.readouterr().err
    assert text.startswith("ringback: the database at DATABASE_URL cannot be used")
    assert len(text.splitlines()) == 1
    assert "secret-word" not in text


def test_a_token_is_ready_to_be_put_into_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ringback", "token", "static", "alice"])
    with pytest.raises(SystemExit):
        main()
    user, _, token = capsys.readouterr().out.strip().partition(":")
    assert user == "alice"
    assert len(token) >= 32
    assert ":" not in token
    marks = ["--trusted", "--transcripts", "--recordings"]
    monkeypatch.setattr(sys, "argv", ["ringback", "token", "static", "alice", *marks])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.strip().endswith(":trusted:transcripts:recordings")


def test_a_user_is_not_erased_without_confirmation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("n\n"))
    assert run(monkeypatch, "users", "erase", "ada") == 1
    printed = capsys.readouterr()
    assert printed.out.strip() == ""
    assert printed.err.endswith("ringback: not confirmed, so no change was made\n")


@pytest.mark.loopback
def test_a_check_says_as_json_what_must_be_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in GOOD_SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert run(monkeypatch, "check") == 1
    sentences = [line.removeprefix("- ") for line in capsys.readouterr().out.splitlines()]
    assert run(monkeypatch, "check", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["is_ready"], told["to_change"]) == (False, sentences)
    assert sentences
