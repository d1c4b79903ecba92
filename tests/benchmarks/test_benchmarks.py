"""The benchmarks run, and what they count is as it must be. What they time is not looked at."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.calls.sides import FLOORS, TITLES
from benchmarks.console_pages.pages import PAGES
from benchmarks.outages.figures import Counted, Timed
from benchmarks.peers_side_by_side import venvs
from benchmarks.talking.sides import TITLES as RELAY_TITLES
from tests.forked import run

ROOT = Path(__file__).parents[2]
SECONDS = 240
"""Until one of them is given up: a hang, and no figure."""
pytestmark = pytest.mark.timeout(SECONDS)
OURS_AND_FLOORS = ("ringback", "ringback-traced", *FLOORS)
SHORT_CALLS = ("--turns", "1", "--calls", "5", "--at-once", "2", "--calls-at-once", "5")
SHORT_TALK = ("--turns", "1", "--sessions", "2", "--seconds", "1", "--most-sessions", "8", "--ramp", "0.5")
PARTS = ("workers", "gateways", "restarts", "flush", "redis", "postgres", "control")


def printed(script: str, *argv: str) -> list[str]:
    ended = run([sys.executable, "-m", "tests.forking", f"benchmarks/{script}", *argv], cwd=ROOT, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.long  # two stacks, and everything that befalls them
def test_recovery_measures_each_part_and_loses_nothing() -> None:
    lines = printed("recovery.py", "--quick")
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == list(PARTS)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    counted = [row for row in rows if len(row) == 4 and row[3] in ("0", "all")]
    assert len(counted) == 16, "all of them are told"
    for what, times, of, goal in counted:
        assert times == (of if goal == "all" else "0"), what


@pytest.mark.long  # a worker for each way
def test_waiting_calls_measures_each_way(tmp_path: Path) -> None:
    lines = printed("waiting_calls.py", "--calls", "20", "--short", "3", "--raw", str(tmp_path))
    rows = [line.split(" | ") for line in lines if line.endswith("|")][2:]
    assert [row[0] for row in rows] == ["| async", "| sync"]


@pytest.mark.long  # a stack, and the servers of each floor
def test_call_latency_measures_our_side_and_the_floors(tmp_path: Path) -> None:
    lines = printed("call_latency.py", "--sides", *OURS_AND_FLOORS, *SHORT_CALLS, "--raw", str(tmp_path))
    rows = [line.split(" | ")[0] for line in lines if line.endswith("|") and "---" not in line]
    ours, traced, celery, bare, in_process = (f"| {TITLES[side]}" for side in OURS_AND_FLOORS)
    assert rows == ["| side", ours, traced, celery, bare, in_process, "| side", ours, traced, celery, bare]
    raw = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert [(line["side"], line["at_once"]) for line in raw[1:]] == [
        *(("ringback", 1), ("ringback", 2), ("ringback-traced", 1), ("ringback-traced", 2)),
        *(("celery", 1), ("celery", 2), ("bare", 1), ("bare", 2)),
        ("in-process", 1),
    ]


@pytest.mark.long  # a stack, and the load's two programs
def test_talking_sessions_counts_every_frame_at_the_far_side(tmp_path: Path) -> None:
    need_the_load()
    lines = printed(
        "talking_sessions.py", "--sides", "ringback", "fastapi", "picows", *SHORT_TALK, "--raw", str(tmp_path)
    )
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith("|")]
    assert rows[2:5] == rows[7:] == [RELAY_TITLES[side] for side in ("ringback", "fastapi", "picows")]


@pytest.mark.long  # a stack, and the load's two programs
def test_talking_sessions_looks_at_memory_alone(tmp_path: Path) -> None:
    need_the_load()
    lines = printed("talking_sessions.py", "--memory", "--sides", "ringback", *SHORT_TALK, "--raw", str(tmp_path))
    (row,) = (line for line in lines if line.startswith(f"| {RELAY_TITLES['ringback']} | "))
    assert len(row.split(" | ")) == 4
    (_, turn) = [json.loads(line) for line in (tmp_path / "talking-2-memory.jsonl").read_text().splitlines()]
    assert turn.keys() >= {"idle", "talking", "following"}


@pytest.mark.long  # a stack
def test_idle_sees_every_process_alive(tmp_path: Path) -> None:
    lines = printed("idle.py", "--settle", "0", "--seconds", "2", "--workers", "2", "--raw", str(tmp_path))
    rows = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith("|")}
    assert rows >= {"gateway", "worker", "worker 2", "postgres", "valkey", "all"}


@pytest.mark.long  # a stack, and the load's two programs
def test_soak_counts_calls_and_frames_and_looks_at_every_process(tmp_path: Path) -> None:
    need_the_load()
    lines = printed("soak.py", "--minutes", "0.1", "--trial", "1", "--raw", str(tmp_path))
    rows = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith("|")}
    assert rows >= {"gateway", "worker", "postgres", "valkey"}


def need_the_load() -> None:
    if not venvs.available(venvs.default_folder(), ["picows"]):
        pytest.skip("the load's picows cannot be installed here")


@pytest.mark.long  # a stack, and the simulator
def test_peers_measures_our_side_and_every_result_of_it_is_told() -> None:
    lines = printed("peers.py", "--quick", "--sides", "ringback", "--cases", "floor", "two", "close", "tools", "line")
    told = [line.split(" | ")[1] for line in lines if line.startswith(("| the ", "| two calls", "| kill "))]
    assert [cell.partition(" (")[0] for cell in told] == ["told", "both told in one reply", "told", "told", "told"]


@pytest.mark.long  # each frame, many times
def test_client_frames_are_taken_or_refused_as_they_must_be() -> None:
    lines = printed("client_frames.py", "--rounds", "1")
    assert sum("| taken |" in line for line in lines) == 12


@pytest.mark.long  # a Postgres
def test_budgets_measures_sessions_and_responses() -> None:
    lines = printed("budgets.py", "--responses", "20", "--users", "20")
    rows = [line.split(" | ")[0] for line in lines if line.endswith("|")][2:]
    assert [row.removeprefix("| ").partition(" ")[0] for row in rows] == ["a"] * 9 + ["the"] * 2


@pytest.mark.long  # a Postgres
def test_history_indexes_measures_both_sides_and_a_page_by_each_filter() -> None:
    lines = printed("history_indexes.py", "--jobs", "2000", "--calls", "5", "--rounds", "2")
    rows = [line.split(" | ")[0] for line in lines if line.endswith("|")]
    assert rows[2:4] == ["| with the indexes", "| without"]
    assert len(rows[6:]) == 5


@pytest.mark.long  # a Postgres, and a stack
def test_console_asks_for_each_page_and_finds_its_rows(tmp_path: Path) -> None:
    few = ("--jobs", "6000", "--times", "1", "--no-cold", "--viewers", "2", "--seconds", "5")
    lines = printed("console.py", *few, "--raw", str(tmp_path))
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith("|")]
    assert rows[2:] == [asked.title for asked in PAGES]
    assert sum(line.startswith("2 viewers: ") for line in lines) == 1
    raw = [json.loads(line) for line in (tmp_path / "console.jsonl").read_text().splitlines()]
    assert [line["page"] for line in raw[1:-1]] == [asked.title for asked in PAGES]
    assert raw[-1]["rows"] == raw[-1]["pages"] * 50


@pytest.mark.long  # a stack
def test_counting_finds_what_each_call_counts(tmp_path: Path) -> None:
    few = ("--sessions", "2", "--calls", "5", "--times", "100", "--told", "20")
    lines = printed("counting.py", *few, "--raw", str(tmp_path))
    rows = [line.split(" | ")[0] for line in lines if line.endswith("|") and "---" not in line]
    told = [f"| {process}: {part}" for process in ("gateway", "worker") for part in ("made", "encoded and sent")]
    assert rows == ["| operation", "| inc", "| observe", "| spans of a call", *told]
    line = json.loads((tmp_path / "counting.jsonl").read_text().splitlines()[1])
    assert line["counts_of_a_call"].keys() == {"inc", "observe"}
    assert min(line["counts_of_a_call"].values()) >= 2
    assert line["cpu_ms_of_a_call"].keys() == {"gateway", "worker"}


@pytest.mark.long  # a stack
def test_a_benchmark_whose_calls_are_refused_gives_no_figures(tmp_path: Path) -> None:
    """The agent's limits are what they are for a talk: calls that follow each other at once are refused."""
    tight = (
        "from benchmarks import call_latency\n"
        "from benchmarks.calls import sides\n"
        "sides.AGENT = sides.AGENT.replace('max_calls_per_minute = 10000', 'max_calls_per_minute = 3')\n"
        "call_latency.main()\n"
    )
    (tmp_path / "tight.py").write_text(tight, encoding="utf-8")
    argv = [str(tmp_path / "tight.py"), "--sides", "ringback", *SHORT_CALLS, "--raw", str(tmp_path)]
    ended = run([sys.executable, "-m", "tests.forking", *argv], cwd=ROOT, timeout=SECONDS)
    assert ended.returncode == 1
    assert "this measures nothing" in ended.stderr
    assert "too_many_calls" in ended.stderr
    assert "| ringback |" not in ended.stdout


def test_a_figure_without_samples_or_beside_its_goal_is_not_measured() -> None:
    assert [Timed("t", seconds).is_measured for seconds in ([0.1], [])] == [True, False]
    counted = [Counted("c", 0, 5, "0"), Counted("c", 5, 5, "all"), Counted("c", 2, 5), Counted("c", 1, 5, "0")]
    counted += [Counted("c", 4, 5, "all"), Counted("c", 0, 0, "0")]
    assert [each.is_measured for each in counted] == [True, True, True, False, False, False]
