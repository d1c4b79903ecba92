"""Ringback beside three frameworks that run their functions in the process that holds the connection.

All of them talk to the same simulator, with the same scenario, in one run, and what they do is read off its record.
Ours is a gateway, a worker, Postgres (durable commits) and Valkey; each of the others is one process, in a virtual
environment of its own that is made outside of the repository when it is not there (1 GB in all).

    .venv/bin/python benchmarks/peers.py                                   # about 20 minutes
    .venv/bin/python benchmarks/peers.py --sides ringback pipecat-ai --cases floor talk
    .venv/bin/python benchmarks/peers.py --quick --sides ringback          # that it works
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.peers_side_by_side import sides
from benchmarks.peers_side_by_side.cases import CASES, Befalls, Case
from benchmarks.peers_side_by_side.driving import ROOT
from benchmarks.peers_side_by_side.running import Stage, run
from benchmarks.peers_side_by_side.sides import OURS, PEERS, Option, Side
from benchmarks.peers_side_by_side.venvs import PINNED, default_folder, pythons
from benchmarks.peers_side_by_side.verdicts import Run, cell, figures
from cli.processes import Process, ProcessGroup
from cli.stack import our
from tests.simulated import Simulated

SCENARIO = ROOT / "benchmarks" / "peers_side_by_side" / "scenario.yaml"
ALL = [OURS, *PEERS]
KILLED = (Befalls.CLOSE, Befalls.TOOLS_KILLED, Befalls.LINE_KILLED)


@contextmanager
def simulator(folder: Path) -> Iterator[tuple[Stage, str]]:
    """One for all; neither hears nor speaks, so that nothing waits for a voice."""
    with ProcessGroup() as group:
        simulated = Simulated(folder)
        port = simulated.choose_port()
        argv = our("simulator", "--port", str(port), "--no-voice", "--control", "--scenario", str(SCENARIO))
        argv += ["--record", str(simulated.record)]
        ready = f"http://127.0.0.1:{port}/healthz"
        group.start(Process("simulator", argv, {"PYTHONPATH": str(ROOT)}, folder / "simulator.log", ready=ready))
        yield Stage(simulated), f"ws://127.0.0.1:{port}/v1/realtime"


def measure(asked: argparse.Namespace, folder: Path) -> Iterator[Run]:
    """Each side that was asked for, one after the other: none has to share the machine with another."""
    python = pythons(asked.venvs, [name for name in asked.sides if name != OURS])
    with simulator(folder) as (stage, url):
        for name in asked.sides:
            with ExitStack() as stack:
                if name == OURS:
                    side = stack.enter_context(sides.ringback(url, folder, folder))
                else:
                    side = sides.peer(PEERS[name], python[name], url, folder)
                load = " ".join(f"{load:.1f}" for load in os.getloadavg())
                print(f"{name}: load {load}", file=sys.stderr)
                yield from _runs(stage, side, asked)


def _runs(stage: Stage, side: Side, asked: argparse.Namespace) -> Iterator[Run]:
    for case in (case for case in CASES if case.key in asked.cases):
        if side.is_one_process and case.befalls is Befalls.LINE_KILLED and "tools" in asked.cases:
            continue  # it was killed already
        times = _times(case, asked)
        yield Run(case.key, side.name, run(stage, side, case, "default", None, times))
        for mode, option in _options(side.name).items():
            if case.key in option.cases:
                yield Run(case.key, f"{side.name}, {option.title}", run(stage, side, case, mode, option, times))


def _options(side: str) -> dict[str, Option]:
    return PEERS[side].options if side in PEERS else {}


def _times(case: Case, asked: argparse.Namespace) -> int:
    if case.key == "floor":
        return int(asked.floor)
    return int(asked.kills if case.befalls in KILLED else asked.times)


def table(runs: list[Run], names: list[str]) -> str:
    """A row for each case, a column for each side; an option stands in its framework's column."""
    heads = [name if name == OURS else PINNED[name][0].replace("[openai]", "").replace("==", " ") for name in names]
    lines = [f"| | {' | '.join(heads)} |", f"|{' --- |' * (len(names) + 1)}"]
    for case in CASES:
        cells = [_cell(runs, case, name) for name in names]
        if any(cells):
            lines.append(f"| {case.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(runs: list[Run], case: Case, name: str) -> str:
    found = [run for run in runs if run.case == case.key and run.side.split(", ")[0] == name]
    if not found and case.befalls is Befalls.LINE_KILLED and name != OURS and any(r.case == "tools" for r in runs):
        return "the same process: as above"
    plain = [cell(run.conversations) for run in found if run.side == name]
    options = [f"with {run.side.partition(', ')[2]}: {cell(run.conversations)}" for run in found if run.side != name]
    return "<br>".join([*plain, *options])


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = [case.key for case in CASES]
    parser.add_argument("--sides", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--cases", nargs="+", choices=keys, default=keys)
    parser.add_argument("--times", type=int, default=5, help="conversations for each case")
    parser.add_argument("--floor", type=int, default=12, help="those of the floor")
    parser.add_argument("--kills", type=int, default=3, help="those with a kill, or a close")
    parser.add_argument("--venvs", type=Path, default=default_folder(), help="where the frameworks are installed")
    parser.add_argument("--logs", type=Path, help="keep logs and the simulator's record in this new folder")
    parser.add_argument("--quick", action="store_true", help="each case once; the figures mean nothing")
    if parser.parse_args().quick:
        parser.set_defaults(times=1, floor=1, kills=1)
    return parser.parse_args()


def main() -> None:
    asked = options()
    print(f"$ {' '.join(sys.argv)}\n", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        runs = []
        for run_of_one in measure(asked, folder):
            runs.append(run_of_one)
            print(f"  {run_of_one.case}, {run_of_one.side}: {cell(run_of_one.conversations)}", file=sys.stderr)
    print(f"{table(runs, asked.sides)}\n\n{figures(runs)}")


if __name__ == "__main__":
    main()
