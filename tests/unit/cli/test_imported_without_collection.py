from __future__ import annotations

import gc
import subprocess
import sys

import pytest
import typer

from cli.main import SHORT_LIVED, imported_without_collection, main, program

SECONDS = 60
CODE = """
import gc
from cli.main import imported_without_collection
before = sum(generation["collections"] for generation in gc.get_stats())
with imported_without_collection():
    import celery.apps.worker, sqlalchemy.ext.asyncio
after = sum(generation["collections"] for generation in gc.get_stats())
print(after - before, gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_modules_are_imported_without_collection_and_left_out_of_later_ones() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=SECONDS)
    assert ended.stdout.split() == ["0", "True", "True"]


def test_after_an_import_that_fails_garbage_is_collected_again() -> None:
    try:
        with pytest.raises(ImportError), imported_without_collection():
            raise ImportError("as it may be")
        assert gc.isenabled()
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("command", sorted(typer.main.get_group(program()).commands))
def test_a_command_that_ends_soon_collects_no_garbage_and_every_other_does(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ringback", command])
    monkeypatch.setattr("cli.main.program", lambda _: lambda *_, **__: 0)
    monkeypatch.setattr("cli.main.logs.configure", lambda: None)
    try:
        with pytest.raises(SystemExit):
            main()
        assert gc.isenabled() is (command not in SHORT_LIVED)
    finally:
        gc.enable()


def test_the_commands_that_end_soon_exist() -> None:
    assert set(typer.main.get_group(program()).commands) >= SHORT_LIVED
