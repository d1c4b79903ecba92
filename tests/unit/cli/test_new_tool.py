"""`ringback new-tool`: what it writes runs, and what is there stays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.test_main import run

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("gift_card", None)


@pytest.mark.long  # a process
def test_what_it_writes_passes_and_can_be_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "new-tool", "gift_card", "--folder", "my_tools") == 0
    told = capsys.readouterr().out
    assert told.startswith("Wrote my_tools/gift_card.py and my_tools/test_gift_card.py. Next:")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "my_tools"]
    tested = subprocess.run(program, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout
    monkeypatch.chdir(tmp_path / "my_tools")
    monkeypatch.setenv("RINGBACK_TOOL_MODULES", "gift_card")
    assert run(monkeypatch, "tools", "run", "gift_card", "subject=the order") == 0
    assert capsys.readouterr().out == '{"summary": "the order: all is well"}\n'


@pytest.mark.parametrize("there", ["gift_card.py", "test_gift_card.py"])
def test_nothing_is_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, there: str
) -> None:
    (tmp_path / there).write_text("mine", encoding="utf-8")
    assert run(monkeypatch, "new-tool", "gift_card") == 2
    assert f"{there} is there already, and is left as it is" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gift-card", "'gift-card' is no name for a function: use a-z, 0-9 and _, a letter first, such as gift_card"),
        ("GiftCard", "such as giftcard"),
        ("7up", "'7up' is no name for a function: use a-z, 0-9 and _, a letter first"),
        ("class", "class is a word of Python's own; choose another name, such as class_it"),
        ("x" * 65, "a name of 65 characters is too long: use at most 64"),
        ("call", "call would be mistaken for something else in its test"),
        ("talk", "talk would be mistaken for something else in its test"),
        ("test_it", "test_it would be mistaken for something else in its test"),
        ("cancel_call", "cancel_call is a function of the gateway itself"),
        ("json", "there is a module json already, which a file of that name would hide"),
        ("ringback", "there is a module ringback already"),
        ("pytest", "pytest would be mistaken for something else"),
    ],
)
def test_a_name_that_would_not_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, sentence: str
) -> None:
    assert run(monkeypatch, "new-tool", name) == 2
    text = capsys.readouterr().err
    assert sentence in text
    assert len(text.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert run(monkeypatch, "new-tool", "gift_card", "--folder", "taken/inside") == 2
    assert "taken/inside cannot be written into: " in capsys.readouterr().err
