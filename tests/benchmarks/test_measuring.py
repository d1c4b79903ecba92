"""What the benchmarks share: raw lines, plots, slopes, ratios within a turn, and frames that must have arrived."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import call_latency, talking_sessions
from benchmarks.calls.sides import Running
from benchmarks.calls.upstream import Batch
from benchmarks.measuring.bars import Bar, draw
from benchmarks.measuring.process_use import Use, shares, use_of
from benchmarks.measuring.raw_lines import RawLines
from benchmarks.soak import per_hour
from benchmarks.talking import programs
from benchmarks.talking.programs import Load
from benchmarks.talking.turns import Turn, Window, for_half_a_core
from tests.forked import run

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if re.search(r"type=(?!Path)", path.read_text("utf-8")))


class Told:
    """A program of the load that answers every order with the same counts."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts

    def order(self, _do: str, **_rest: Any) -> dict[str, Any]:
        return self.counts


def load(*, heard: int) -> Load:
    callers = Told(sent=7, heard=5, words=5, ended=0)
    return Load(callers, Told(sent=5, words=5, heard=heard), 1)  # type: ignore[arg-type]


def test_a_frame_that_did_not_arrive_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "DRAIN_SECONDS", 0.0)
    load(heard=7).hush()
    with pytest.raises(SystemExit, match="this measures nothing: frames that came to the far side"):
        load(heard=6).hush()


def test_raw_lines_begin_with_the_command_and_the_versions(tmp_path: Path) -> None:
    lines = RawLines(tmp_path, "run", {"nginx": "1.22.1"})
    lines.turn(turn=0, side="ringback")
    head, turn = (json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines())
    assert head["versions"]["nginx"] == "1.22.1"
    assert {"command", "commit", "machine", "load"} <= head.keys()
    assert turn["side"] == "ringback"


def test_a_plot_has_a_bar_for_each_side_that_has_values(tmp_path: Path) -> None:
    draw(tmp_path / "plot.svg", "ms <p50>", [Bar("ours", [1.0, 3.0, 2.0], is_ours=True), Bar("x", [4.0]), Bar("y", [])])
    plot = (tmp_path / "plot.svg").read_text()
    assert re.findall(r">([^<]+)</text>", plot) == ["ms &lt;p50&gt;", "ours", "2", "x", "4"]


def test_a_ratio_is_the_median_of_the_ratios_within_a_turn() -> None:
    """A machine that is slow in one turn is slow for both sides of that turn."""
    ours = [Turn("ringback", Window(10, 8.0, share)) for share in (0.1, 0.9, 0.12)]
    theirs = [Turn("fastapi", Window(10, 8.0, share)) for share in (0.2, 1.8, 0.2)]
    taken = {"ringback": ours, "fastapi": theirs}
    assert talking_sessions.ratio(taken, "ringback", "fastapi") == pytest.approx(0.5)
    assert talking_sessions.ratio(taken, "ringback", "litellm") is None


def test_a_slope_is_told_for_an_hour() -> None:
    uses = [Use(at=minute * 60.0, cpu_seconds=0, rss_kib=1_000 + minute, descriptors=5) for minute in range(10)]
    assert per_hour(uses, "rss_kib") == pytest.approx(60)
    assert per_hour(uses, "descriptors") == 0


HAD_A_CHILD = """
import os, time
if not os.fork():
    while time.process_time() < 0.3:
        pass
    os._exit(0)
os.wait()
print("over", flush=True)
time.sleep(60)
"""


def test_what_a_child_has_used_stays_used_when_it_has_ended() -> None:
    """Else what Postgres' short-lived processes do, such as autovacuum, would cost nothing."""
    with subprocess.Popen([sys.executable, "-c", HAD_A_CHILD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "over\n"
        assert use_of(psutil.Process(process.pid)).cpu_seconds >= 0.29
        process.kill()


def test_a_profile_tells_each_function_on_the_stack_and_at_its_end_but_not_what_started_the_program() -> None:
    stacks = ["main (a.py:1);send (b.py:7) 3", "main (a.py:2);send (b.py:9);write (c.py:1) 1"]
    told = shares(stacks).splitlines()
    assert told[0] == "4 samples"
    assert [line.split() for line in told[3:]] == [
        ["100.0%", "75.0%", "send", "(b.py)"],
        ["25.0%", "25.0%", "write", "(c.py)"],
    ]


def test_half_a_core_is_taken_by_sessions_within_a_bound() -> None:
    assert [for_half_a_core(cpu_ms) for cpu_ms in (10.0, 900.0, 0.0)] == [50, 1, 250]


@pytest.mark.parametrize("which", ["processes", "helpers"])
def test_a_batch_whose_calls_a_dead_process_should_have_brought_is_not_waited_for(which: str) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""], stdin=subprocess.PIPE) as ended:
        running = Running(lambda *_: None, lambda _: None, left=lambda _: "1 is pending")
        getattr(running, which)["worker"] = psutil.Process(ended.pid)
        batch = Batch(1, 5, 0, 0)
        with pytest.raises(TimeoutError, match=r"0 calls came back, then worker ended. The others: 1 is pending"):
            call_latency._await(batch.is_over.wait, "ringback", running, batch)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_number_with_which_nothing_is_measured_is_refused_before_anything_starts(script: str) -> None:
    options = re.findall(r'"(--[a-z-]+)", type=(?!Path)', (BENCHMARKS / script).read_text(encoding="utf-8"))
    assert options
    for option in options:
        ended = run([sys.executable, "-m", "tests.forking", f"benchmarks/{script}", option, "-1"], cwd=ROOT, timeout=60)
        assert ended.returncode == 2, ended.stderr
        assert f"argument {option}: '-1' is not a " in ended.stderr
