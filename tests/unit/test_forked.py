"""A forked process is to its caller what one of `subprocess` is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import Forked, popen

WAITS = "import signal; print('here', flush=True); signal.pause()"


def python(code: str, **how: object) -> subprocess.Popen[str]:
    return popen([sys.executable, "-c", code], text=True, **how)  # type: ignore[arg-type]


def test_it_has_the_environment_the_folder_and_the_words_that_it_was_given(tmp_path: Path) -> None:
    code = "import os, sys; print(dict(os.environ), os.getcwd(), sys.argv, sys.stdin.read())"
    words = [sys.executable, "-c", code, "one", "two"]
    process = popen(words, env={"ONLY": "this"}, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert isinstance(process, Forked)
    assert process.stdout
    with process.stdout as said:
        assert said.read() == f"{ {'ONLY': 'this'} } {tmp_path} ['-c', 'one', 'two'] \n"
    assert process.wait() == 0


@pytest.mark.parametrize(("code", "how"), [("raise SystemExit(3)", 3), ("1 / 0", 1), ("pass", 0)])
def test_how_it_ended_is_told(code: str, how: int, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        process = python(code, stdout=log, stderr=subprocess.STDOUT)
        assert process.wait(30) == how
    assert ("ZeroDivisionError" in (tmp_path / "log").read_text()) == (how == 1)
    assert process.poll() == how


def test_it_is_waited_for_and_killed_with_its_session() -> None:
    process = python(WAITS, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    with process.stdout as said:
        assert said.readline() == "here\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_module_runs_as_python_would_run_it() -> None:
    process = popen([sys.executable, "-W", "ignore", "-m", "cli", "--help"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout as said:
        assert "Usage: ringback" in said.read()
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("words", "env"),
    [(["true"], {}), ([sys.executable, "-c", "pass"], {"PYTHONHASHSEED": "7"}), ([sys.executable], {})],
)
def test_what_only_an_interpreter_that_starts_can_do_is_left_to_one(words: list[str], env: dict[str, str]) -> None:
    process = popen(words, env={**os.environ, **env}, stdin=subprocess.DEVNULL)
    assert not isinstance(process, Forked)
    assert process.wait() == 0
