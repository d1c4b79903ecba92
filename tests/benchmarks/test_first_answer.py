"""From a bare machine to a spoken answer: what the benchmark installs is what `make up` does, and its talk is held."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import first_answer
from simulator.speech import ears, synthesis
from tests.forked import run

STEPS = (
    "`ringback up` prints its link",
    "Chromium starts, and Talk can be pressed",
    "from Talk to the first sound of the answer",
    "until the answer was heard",
    "after the download (the goal is 60)",
)
SECONDS = 240


def planned(target: str, venv: Path) -> list[str]:
    """What `make` would run on a machine on which nothing is installed."""
    command = ["make", "--no-print-directory", "--dry-run", target, f"VENV={venv}"]
    return subprocess.run(
        command, cwd=first_answer.ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_it_installs_what_make_up_installs_and_no_more(tmp_path: Path) -> None:
    installed = planned(str(tmp_path / Path(first_answer.INSTALLED).name), tmp_path)
    up = planned("up", tmp_path)
    assert any(f"-r {first_answer.LOCK}" in line for line in installed)
    assert up[:-1] == installed
    assert up[-1].endswith("ringback up")


@pytest.mark.long  # a stack, and a browser
@pytest.mark.timeout(SECONDS)
@pytest.mark.skipif(
    not (ears.available() and synthesis.available()), reason="the simulator has no voice: install ringback[voice]"
)
def test_a_question_is_spoken_to_the_stack_of_this_checkout_and_each_step_told(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.forking",
        "benchmarks/first_answer.py",
        "--installed",
        "--raw",
        str(tmp_path),
    ]
    ended = run(command, cwd=first_answer.ROOT, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    rows = [line.split(" | ")[0].removeprefix("| ") for line in ended.stdout.splitlines() if line.endswith("|")]
    assert tuple(rows[2:]) == STEPS
    (_, told) = [json.loads(line) for line in (tmp_path / "first_answer.jsonl").read_text().splitlines()]
    assert set(told) == {*STEPS[:-1], "load"}
