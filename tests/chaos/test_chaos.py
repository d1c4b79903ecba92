"""Most of a minute of faults over the real thing, and not one invariant violated. `make chaos` runs it for longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.chaos.run import Plan, run, summary

SECONDS = 45.0
"""Of faults, one in two seconds; starting and settling take half as long again."""
SEED = "RINGBACK_CHAOS_SEED"
"""The environment variable that repeats a run; without it each run has a seed of its own, and prints it."""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_no_invariant_is_violated_while_everything_fails(tmp_path: Path) -> None:
    seed = int(os.environ.get(SEED) or time.time())
    print(f"{SEED}={seed}")  # noqa: T201
    report = run(Plan(seconds=SECONDS, seed=seed, sessions=12), tmp_path, print)
    words = "\n".join(summary(report))
    print(words)  # noqa: T201
    assert (report.violations, report.left, report.tracebacks) == ([], [], []), words
    assert report.evidence.jobs
