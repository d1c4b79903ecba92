"""Ringback beside three frameworks that run their functions in the process that holds the connection.

All of them talk to the same simulator, with the same scenario, in one run, and what they do is read off its record.
Ours is a gateway, a worker, Postgres (durable commits) and Valkey; each of the others is one process, in a virtual
environment of its own that is made outside of the repository when it is not there (1 GB in all).

    .venv/bin/python benchmarks/peers.py                                   # about half an hour
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
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring.bounds import lasting, whole
from benchmarks.measuring.receipts import insist
from benchmarks.peers_side_by_side import sides
from benchmarks.peers_side_by_side.cases import CASES, Befalls, Case
from benchmarks.peers_side_by_side.driving import ROOT, DriverError
from benchmarks.peers_side_by_side.microphone import write_speech
from benchmarks.peers_side_by_side.running import Stage, run
from benchmarks.peers_side_by_side.sides import DEFAULT, KINDS, OURS, Option, Side
from benchmarks.peers_side_by_side.tables import Run, cell, figures, table, together
from benchmarks.peers_side_by_side.venvs import default_folder, pythons, titles
from cli.local_stack.process_group import Process, ProcessError, ProcessGroup
from cli.local_stack.stack import our
from tests.simulated import Simulated

SCENARIO = ROOT / "benchmarks" / "peers_side_by_side" / "scenario.yaml"
KILLED = (Befalls.CLOSE, Befalls.TOOLS_KILLED, Befalls.LINE_KILLED)

QUICK_PATIENCE = 60.0
"""To see that all of it works, on a machine that does other work beside it."""


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
    """Each side that was asked for, one after the other: none has to share the machine with another.

    Some rounds of it, so that other work on the machine does not meet one side alone.
    """
    python = pythons(asked.venvs, [name for name in asked.sides if name != OURS])
    speech = folder / "speech.pcm"
    write_speech(speech)
    with simulator(folder) as (stage, url):
        for name in asked.sides * asked.rounds:
            with ExitStack() as stack:
                if name == OURS:
                    side = stack.enter_context(sides.ringback(url, speech, folder))
                else:
                    side = sides.peer(KINDS[name], python[name], url, speech, folder)
                load = " ".join(f"{load:.1f}" for load in os.getloadavg())
                print(f"{name}: load {load}", file=sys.stderr)
                yield from _runs(stage, side, asked)


def _runs(stage: Stage, side: Side, asked: argparse.Namespace) -> Iterator[Run]:
    for case in (replace(case, patience=asked.patience or case.patience) for case in CASES if case.key in asked.cases):
        if side.is_one_process and case.befalls is Befalls.LINE_KILLED and "tools" in asked.cases:
            yield Run(case.key, side.name, note="the same process: as above")
            continue
        times = _times(case, asked)
        yield _run(stage, side, case, DEFAULT, None, times)
        for mode, option in KINDS[side.name].options.items():
            if case.key in option.cases:
                yield _run(stage, side, case, mode, option, times)


def _run(stage: Stage, side: Side, case: Case, mode: str, option: Option | None, times: int) -> Run:
    """What cannot be measured is told, and ends nothing: the rest of the run took minutes."""
    title = option.title if option else ""
    try:
        return Run(case.key, side.name, title, run(stage, side, case, mode, option, times))
    except (DriverError, ProcessError, TimeoutError) as problem:
        print(f"{side.name} {title}, {case.key}: {problem}", file=sys.stderr)
        return Run(case.key, side.name, title, note="not measured")


def _times(case: Case, asked: argparse.Namespace) -> int:
    if case.key == "floor":
        return int(asked.floor)
    return int(asked.kills if case.befalls in KILLED else asked.times)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = [case.key for case in CASES]
    parser.add_argument("--sides", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--cases", nargs="+", choices=keys, default=keys)
    parser.add_argument("--rounds", type=whole(), default=2)
    parser.add_argument("--times", type=whole(), default=3, help="conversations for each case, in each round")
    parser.add_argument("--floor", type=whole(), default=12, help="those of the floor")
    parser.add_argument("--kills", type=whole(), default=2, help="those with a kill, or a close")
    parser.add_argument("--patience", type=lasting(), help="seconds until a result is lost; else each case's own")
    parser.add_argument("--venvs", type=Path, default=default_folder(), help="where the frameworks are installed")
    parser.add_argument("--logs", type=Path, help="keep logs and the simulator's record in this new folder")
    parser.add_argument("--quick", action="store_true", help="each case once; the figures mean nothing")
    if parser.parse_args().quick:
        parser.set_defaults(rounds=1, times=1, floor=1, kills=1, patience=QUICK_PATIENCE)
    return parser.parse_args()


def main() -> None:
    asked = options()
    print(f"$ {' '.join(sys.argv)}\n", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        runs: list[Run] = []
        for one in measure(asked, folder):
            runs = together(runs, one)
            print(f"  {one.case}, {one.name}: {cell(one)}", file=sys.stderr)
    heads = {OURS: OURS, **titles()}
    print(f"{table(runs, {name: heads[name] for name in asked.sides})}\n\n{figures(runs)}")
    insist("what of ours was not measured, or not told", [run.case for run in runs if _is_wanting(run)], [])


def _is_wanting(run: Run) -> bool:
    """True where a conversation of ours had no result that was told: of others that is a finding."""
    tasks = [task for seen in run.conversations for task in seen.tasks]
    return run.side == OURS and (not tasks or any(task.told_ms is None for task in tasks))


if __name__ == "__main__":
    main()
