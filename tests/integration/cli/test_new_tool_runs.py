"""`ringback new-tool`: what it writes passes its own test, and can be called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.long  # three processes
def test_what_it_writes_passes_and_can_be_called(tmp_path: Path) -> None:
    told = ran(tmp_path, "cli", "new-tool", "gift_card", "--folder", "my_tools")
    assert told.startswith("Wrote my_tools/gift_card.py and my_tools/test_gift_card.py. Next:")
    assert "3 passed" in ran(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "my_tools")
    called = ran(tmp_path / "my_tools", "cli", "tools", "run", "gift_card", "subject=the order")
    assert called == '{"summary": "the order: all is well"}\n'


def ran(folder: Path, *words: str) -> str:
    """What a module prints that is run there, as a program."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RINGBACK_TOOL_MODULES": "gift_card"}
    ended = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
