"""A stack under half its load for as long as you like: does it keep its memory and its descriptors?

Sessions talk in both directions (the load of `talking_sessions.py`), and each response of the model ends in a function
call. Their number is what takes the gateway half a core, by a trial of some seconds. Every minute all of them end, and
as many begin. By then every frame must have arrived, and every call must have a row that succeeded and one output. A
slope is a line through the samples after the first quarter. What the processes of Postgres share, its buffers, fills up
to a bound with the rows; the memory of their own must not grow.

    .venv/bin/python benchmarks/soak.py                        # 3 minutes
    .venv/bin/python benchmarks/soak.py --minutes 30
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression

import psutil

from benchmarks.measuring.bounds import lasting
from benchmarks.measuring.process_use import Use, cores_apart, family, pin, use_of, uses_of
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.measuring.receipts import insist, insist_on_success
from benchmarks.peers_side_by_side.venvs import default_folder
from benchmarks.talking.programs import Load, running_load
from benchmarks.talking.sides import NO_LOAD, OURS, PICOWS, Relay, pythons, relaying, versions
from benchmarks.talking.turns import for_half_a_core

TOOL = "nothing"
TRIAL_SESSIONS, TRIAL_SECONDS = 8, 8.0
SAMPLE_SECONDS, ROUND_SECONDS = 5.0, 60.0
ANSWER_SECONDS = 30.0
"""Seconds in which the last calls must be answered."""
HEAD = (
    "| process | % of a core | MiB, first and last | an hour | of its own, first and last | an hour "
    "| descriptors, first and last | an hour |\n" + "| --- " * 8 + "|"
)


@dataclass
class Soak:
    """What was counted and looked at so far."""

    sessions: int = 0
    frames: int = 0
    calls: int = 0
    samples: dict[str, list[Use]] = field(default_factory=dict)


def soak(load: Load, relay: Relay, minutes: float, trial: float, lines: RawLines) -> Soak:
    """Talk and call for so long, and look at every process all the time."""
    assert relay.process
    processes = {"gateway": relay.process, **relay.behind}
    found = Soak(_half_a_core(load, relay, relay.process, trial), samples={name: [] for name in processes})
    print(f"  {found.sessions} sessions", file=sys.stderr, flush=True)
    until = time.monotonic() + minutes * 60
    while (left := until - time.monotonic()) > SAMPLE_SECONDS:
        _begin(load, relay, found.sessions)
        _look(found, processes, min(ROUND_SECONDS, left), lines)
        _finish(load)
    found.frames = sum(load.report()[0][kind] for kind in ("sent", "heard", "words"))
    called = load.model.order("called")["calls"]
    insist_on_success(relay.database_url, called)
    found.calls = len(called)
    return found


def _look(found: Soak, processes: dict[str, psutil.Process], seconds: float, lines: RawLines) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(SAMPLE_SECONDS)
        for name, use in uses_of(processes).items():
            found.samples[name].append(use)
            sizes = {"rss_kib": use.rss_kib, "own_kib": use.own_kib, "descriptors": use.descriptors}
            lines.add(process=name, at=round(use.at, 1), cpu_seconds=round(use.cpu_seconds, 2), **sizes)


def _half_a_core(load: Load, relay: Relay, gateway: psutil.Process, seconds: float) -> int:
    _begin(load, relay, TRIAL_SESSIONS)
    time.sleep(seconds)
    before = use_of(gateway)
    time.sleep(seconds)
    share = use_of(gateway).share_since(before)
    _finish(load)
    return for_half_a_core(share * 1_000 / TRIAL_SESSIONS)


def _begin(load: Load, relay: Relay, sessions: int) -> None:
    load.callers.order("open", number=sessions, url=relay.url, headers=relay.headers)
    load.talk(sessions, TOOL)


def _finish(load: Load) -> None:
    """End the talk: every frame has arrived, every call has one output. Then end the sessions."""
    load.hush()
    give_up = time.monotonic() + ANSWER_SECONDS
    while len((called := load.model.order("called"))["outputs"]) < len(called["calls"]) and time.monotonic() < give_up:
        time.sleep(0.1)
    insist("calls without exactly one output", [c for c in called["calls"] if called["outputs"].get(c) != 1], [])
    insist("calls were made", bool(called["calls"]), True)
    load.leave()


def row(name: str, uses: Sequence[Use]) -> str:
    """A process, and the lines through its samples."""
    late = uses[len(uses) // 4 :]
    memory, own, descriptors = (per_hour(late, of) for of in ("rss_kib", "own_kib", "descriptors"))
    cells = [
        name,
        f"{uses[-1].share_since(uses[0]):.0%}",
        f"{late[0].rss_kib / 1024:.1f}, {late[-1].rss_kib / 1024:.1f}",
        f"{memory / 1024:+.1f}",
        f"{late[0].own_kib / 1024:.1f}, {late[-1].own_kib / 1024:.1f}",
        f"{own / 1024:+.1f}",
        f"{late[0].descriptors}, {late[-1].descriptors}",
        f"{descriptors:+.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def per_hour(uses: Sequence[Use], of: str) -> float:
    """The slope of the line through these samples."""
    if len(uses) < 2:
        return 0.0
    return linear_regression([use.at for use in uses], [getattr(use, of) for use in uses]).slope * 3_600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=lasting(), default=3.0)
    parser.add_argument("--trial", type=lasting(), default=TRIAL_SECONDS, help="seconds of each half of the trial")
    parser.add_argument("--venvs", type=Path, default=default_folder(), help="where the load's picows is installed")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines")
    asked = parser.parse_args()
    programs = pythons(asked.venvs, [OURS])
    if PICOWS not in programs:
        raise SystemExit(NO_LOAD)
    lines = RawLines(asked.raw, "soak", versions(programs))
    print(lines.introduction(), flush=True)
    core, others = cores_apart()
    with (
        tempfile.TemporaryDirectory() as name,
        running_load(programs[PICOWS], others) as load,
        relaying(OURS, programs[OURS], load.port, Path(name)) as relay,
    ):
        assert relay.process
        pin(family(relay.process), core)
        found = soak(load, relay, asked.minutes, asked.trial, lines)
    told = (
        f"{asked.minutes:g} minutes, {found.sessions} sessions at once, {found.frames:,} frames, {found.calls:,} calls"
    )
    print("\n".join([f"{told}\n", HEAD, *(row(process, uses) for process, uses in found.samples.items())]))


if __name__ == "__main__":
    main()
