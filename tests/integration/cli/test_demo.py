"""`ringback demo`, run like a person runs it: it answers, and leaves nothing behind, also when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

END_SECONDS = 120
MARK = "RINGBACK_TEST_OF_THE_DEMO"
DEAD_PROXY = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:1"),
    "all_proxy": "socks5://127.0.0.1:1",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "no_proxy": "",
    "NO_PROXY": "",
}
"""A company's proxy, which cannot reach this machine; the demo needs none."""


@pytest.fixture
def demo(tmp_path: Path, open_folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", "--output", str(tmp_path / "answer.wav")],
        env={**os.environ, **DEAD_PROXY, "TMPDIR": str(open_folder), MARK: str(tmp_path), "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def left_behind(tmp_path: Path) -> list[str]:
    """Processes that carry our mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(tmp_path):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_every_question_is_answered_and_nothing_is_left_behind(
    demo: subprocess.Popen[str], tmp_path: Path, open_folder: Path
) -> None:
    text, _ = demo.communicate(timeout=END_SECONDS)
    assert demo.returncode == 0, text
    assert "5 of 5 questions answered" in text
    assert re.search(r"conversation.item.create +What is the weather in London UK\?", text)
    assert re.search(r"transcription.completed +What is the weather in London\?", text)
    assert text.count("pending +") == 5
    assert len(re.findall(r"^[0-9a-f]{8} .* succeeded +(?:acked|spoken|heard)", text, re.MULTILINE)) == 5
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert (answer.getframerate(), answer.getsampwidth(), answer.getnchannels()) == (24_000, 2, 1)
        assert answer.getnframes() > 24_000
    assert left_behind(tmp_path) == []
    assert list(open_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("moment", "how"),
    [
        ("Starting", signal.SIGTERM),
        ("Ready after", signal.SIGINT),
        ("running", signal.SIGINT),
        ("running", signal.SIGTERM),
    ],
)
def test_an_interrupted_demo_leaves_nothing_behind(
    demo: subprocess.Popen[str], tmp_path: Path, open_folder: Path, how: signal.Signals, moment: str
) -> None:
    assert demo.stdout is not None
    heard = []
    for line in demo.stdout:
        heard.append(line)
        if moment in line:
            break
    demo.send_signal(how)
    rest, _ = demo.communicate(timeout=END_SECONDS)
    text = "".join(heard) + rest
    assert "Traceback" not in text, text
    assert demo.returncode in (130, 128 + signal.SIGTERM), text
    assert left_behind(tmp_path) == []
    assert list(open_folder.iterdir()) == []
