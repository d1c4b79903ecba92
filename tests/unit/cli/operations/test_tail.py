"""`ringback jobs tail` runs for long, unlike the commands that end before garbage would count."""

from __future__ import annotations

import gc
from typing import Never

import pytest

from cli.operations import tail


def _interrupt() -> Never:
    raise KeyboardInterrupt


def test_it_collects_its_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "writing", _interrupt)
    gc.disable()
    try:
        tail.follow("default", None, {}, as_json=True)
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()
