"""Tests are collected in the same order by whoever collects them: side by side, processes must agree (pytest-xdist)."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.architecture.source_tree import ROOT
from tests.conftest import LONG, LONGEST

SECONDS = 300
"""A bound for a machine that is busy: each collection is some ten seconds of computing."""


@pytest.mark.long  # two collections of the whole suite
@pytest.mark.timeout(SECONDS)
def test_the_order_of_tests_does_not_hang_on_the_order_of_a_set() -> None:
    """Side by side each process has a seed of its own, and pytest-xdist begins with no test if their orders differ."""
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1 and "PYTHONHASHSEED" not in os.environ:
        return
    with ThreadPoolExecutor() as side_by_side:
        first, second = side_by_side.map(_collected, ("1", "2"))
    assert len(first) > 1_000
    assert [(one, other) for one, other in zip(first, second, strict=True) if one != other] == []


def test_no_unit_test_is_in_the_long_tier() -> None:
    """There it would run beside servers of other tests, which may connect, in a process that refuses connections."""
    units = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    assert [path.name for path in units if "mark.long" in path.read_text(encoding="utf-8")] == []


def test_each_place_that_is_begun_with_exists() -> None:
    """A file that got another name would be run late, and its process would end long after the others."""
    assert [place for place in LONGEST if not (ROOT / "tests" / place).exists()] == []


def test_the_mark_of_the_long_tier_stands_in_the_file_of_its_tests() -> None:
    """With `-m long` no other file is looked into."""
    elsewhere = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    mentions = [path.name for path in elsewhere if LONG in path.read_text(encoding="utf-8")]
    assert mentions == ["conftest.py"]


def _collected(hash_seed: str) -> list[str]:
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ended = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stdout[-2_000:]
    return [line for line in ended.stdout.splitlines() if "::" in line]
