"""`ringback new-tool`: what is there stays. That what it writes runs: tests/integration/cli/test_new_tool_runs.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.test_main import run


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("gift_card", None)


@pytest.mark.parametrize("there", ["gift_card.py", "test_gift_card.py"])
def test_no_file_is_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, there: str
) -> None:
    (tmp_path / there).write_text("mine", encoding="utf-8")
    assert run(monkeypatch, "new-tool", "gift_card") == 2
    assert f"{there} exists already, and is left unchanged" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gift-card", "'gift-card' is no name for a function: use a-z, 0-9 and _, a letter first, such as gift_card"),
        ("GiftCard", "such as giftcard"),
        ("7up", "'7up' is no name for a function: use a-z, 0-9 and _, a letter first"),
        ("class", "class is a Python keyword; choose another name, such as class_it"),
        ("x" * 65, "a name of 65 characters is too long: use at most 64"),
        ("call", "call has another meaning in the test"),
        ("talk", "talk has another meaning in the test"),
        ("test_it", "test_it has another meaning in the test"),
        ("cancel_call", "cancel_call is a function of the gateway itself"),
        ("json", "a module json exists already, which a file of that name would hide"),
        ("ringback", "a module ringback exists already"),
        ("pytest", "pytest has another meaning in the test"),
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
