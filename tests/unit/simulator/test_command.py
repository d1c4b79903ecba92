"""``python -m simulator`` as a process: its one line of output, its signals, its complaints."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.__main__ import main

# Far above what it takes to start and stop; it only ends a test that would wait for ever.
PATIENCE_S = 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_serves_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "simulator", "--no-voice"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line, told = process.stdout.readline(), process.stdout.readline()
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=PATIENCE_S)
    assert line.startswith("simulator ready on ws://127.0.0.1:")
    assert line.endswith("/v1/realtime\n")
    assert told == "It hears with none, and finds turns by loudness; it speaks with a chime.\n"
    assert (process.returncode, rest, complaints) == (0, "", "")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "There is no scenario"),
        ("turns: 7", "turns: Input should be a valid list"),
    ],
)
def test_a_wrong_scenario_is_one_sentence_and_exit_code_2(
    content: str | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["--scenario", str(path)]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("knob", "complaint"),
    [
        ("item_ecko=renamed", "--knob item_ecko: there is no such knob; there are ack_delay_ms, "),
        ("item_echo=lost", "--knob item_echo: Input should be 'as_sent', 'renamed' or 'missing'."),
        ("item_echo", "--knob item_echo: Input should be "),
        ("drop=1", "--knob drop: there is no such knob"),
    ],
)
def test_a_wrong_knob_is_one_sentence_and_exit_code_2(
    knob: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--knob", knob]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_its_help_names_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "refused-429" in capsys.readouterr().out
