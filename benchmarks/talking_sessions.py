"""What a session that talks costs the process that relays it: processor time, memory and delay, beside other relays.

Each side relays between the same two programs: callers that send 20 ms of audio 50 times a second, and a model that
speaks all the time, in the shape of recorded traffic. One side runs at a time, in turns, on a core of its own; every
frame is counted where it arrives, in both directions. The gateway checks, records and budgets as always; the floors
(FastAPI + websockets, picows, nginx) pass on what comes and look into nothing; LiteLLM's proxy does its own work.

    .venv/bin/python benchmarks/talking_sessions.py                                # 60 sessions, 3 turns: ten minutes
    .venv/bin/python benchmarks/talking_sessions.py --sessions 200 --turns 5
    .venv/bin/python benchmarks/talking_sessions.py --sides ringback fastapi --turns 1 --profile
    .venv/bin/python benchmarks/talking_sessions.py --sides ringback ringback-recorded --no-latency
    .venv/bin/python benchmarks/talking_sessions.py --memory --sessions 200 --sides ringback fastapi

With `--memory`, memory alone is measured: at most 60 sessions talk at a time, in turn, however many there are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.measuring.bars import Bar, draw
from benchmarks.measuring.bounds import lasting, whole
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.peers_side_by_side.venvs import default_folder
from benchmarks.talking.sides import NO_LOAD, OURS, PICOWS, RELAYS, SIDES, TITLES, pythons, versions
from benchmarks.talking.turns import MOST_SESSIONS, RAMP_SECONDS, Memory, Plan, Turn, measure, measure_memory

CPU_HEAD = (
    "| relay | CPU ms a session-second: median (least to most) | ours to it | % of a core | KiB idle | KiB talking | "
    "KiB, the next as many |\n" + "| --- " * 7 + "|"
)
DELAY_HEAD = (
    "| relay | sessions | % of a core | added to the model, ms p50 / p99 | added to the caller, ms p50 / p99 |\n"
    + "| --- " * 5
    + "|"
)
MEMORY_HEAD = "| relay | KiB idle | KiB talking | KiB, the next as many |\n" + "| --- " * 4 + "|"
Turns = dict[str, list[Turn]]


def turns(asked: argparse.Namespace, programs: dict[str, Path], lines: RawLines) -> Turns:
    """Every side in turn, so often; each turn's line is written at once."""
    taken: Turns = {side: [] for side in asked.sides if side in programs}
    for number in range(asked.turns):
        for side in taken:
            last = asked.profile and number == asked.turns - 1
            profile = asked.raw / f"talking-{asked.sessions}-{side}-profile.txt" if last else None
            plan = Plan(asked.sessions, asked.seconds, not asked.no_latency, profile, asked.most_sessions, asked.ramp)
            turn = measure(side, programs, plan)
            lines.turn(turn=number, **turn.line())
            print(f"  turn {number}, {side}: {turn.talk.cpu_ms:.2f} ms", file=sys.stderr, flush=True)
            taken[side].append(turn)
    return taken


def memory_rows(asked: argparse.Namespace, programs: dict[str, Path], lines: RawLines) -> Iterator[str]:
    """Measure the memory of each side in turn, so often; return a row for each: median, least and most."""
    plan = Plan(asked.sessions, asked.seconds, has_latency=False, ramp=asked.ramp)
    taken: dict[str, list[Memory]] = {side: [] for side in asked.sides if side in programs}
    for number in range(asked.turns):
        for side, found in taken.items():
            found.append(measure_memory(side, programs, plan))
            lines.turn(turn=number, **asdict(found[-1]))
    for side, found in taken.items():
        columns = zip(*((each.idle, each.talking, each.following) for each in found), strict=True)
        cells = [f"{median(column):.0f} ({min(column):.0f} to {max(column):.0f})" for column in columns]
        yield f"| {TITLES[side]} | {' | '.join(cells)} |"


def cpu_rows(taken: Turns) -> Iterator[str]:
    """A row for each side; a ratio is the median of the ratios within a turn."""
    for side, found in taken.items():
        costs = [turn.talk.cpu_ms for turn in found]
        ours = ratio(taken, OURS, side)
        slopes = [turn.slope_kib for turn in found if turn.slope_kib is not None]
        cells = [
            TITLES[side],
            f"{median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})",
            f"{ours:.2f}" if ours else "-",
            f"{middle(found, lambda turn: turn.talk.share):.0%}",
            f"{middle(found, lambda turn: turn.idle_kib):.0f}",
            f"{middle(found, lambda turn: turn.talking_kib):.0f}",
            f"{median(slopes):.0f}" if slopes else "-",
        ]
        yield f"| {' | '.join(cells)} |"


def delay_rows(taken: Turns) -> Iterator[str]:
    """A row for each side that was tried at half a core: its own shares less those of the direct way."""
    for side, found in taken.items():
        halves = [turn for turn in found if turn.half and turn.direct]
        if halves:
            sessions = middle(halves, lambda turn: turn.half.sessions if turn.half else 0)
            share = middle(halves, lambda turn: turn.half.share if turn.half else 0)
            cells = [f"{added(halves, way, 'p50')} / {added(halves, way, 'p99')}" for way in ("to_model", "to_caller")]
            yield f"| {TITLES[side]} | {sessions:.0f} | {share:.0%} | {' | '.join(cells)} |"


def added(found: Sequence[Turn], way: str, share: str) -> str:
    return f"{middle(found, lambda turn: getattr(turn.half, way)[share] - getattr(turn.direct, way)[share]):.2f}"


def middle(found: Sequence[Turn], of: Callable[[Turn], float]) -> float:
    return median(of(turn) for turn in found)


def ratio(taken: Turns, side: str, to: str) -> float | None:
    """The median, over the turns, of this side's cost to another's; None if the other was not run, or for too short.

    The system counts processor time in steps of 10 ms.
    """
    pairs = zip(taken.get(side, []), taken.get(to, []), strict=False)
    return median([one.talk.cpu_ms / other.talk.cpu_ms for one, other in pairs if other.talk.cpu_ms] or [0.0]) or None


def behind(found: Sequence[Turn]) -> str:
    """What stands behind the gateway, in the same windows."""
    shares = {name: middle(found, lambda turn, name=name: turn.talk.behind[name]) for name in found[0].talk.behind}  # type: ignore[misc]
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def most_of_the_load(taken: Turns) -> float:
    """The largest share of a core that the load itself took in any window: near the whole of it the load is late."""
    windows = [window for found in taken.values() for turn in found for window in (turn.talk, turn.half, turn.direct)]
    return max((window.load_share for window in windows if window), default=0.0)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=whole(), default=60)
    parser.add_argument("--ramp", type=lasting(0), default=RAMP_SECONDS, help="seconds before each window")
    parser.add_argument("--most-sessions", type=whole(), default=MOST_SESSIONS, help="that are tried for half a core")
    parser.add_argument("--turns", type=whole(), default=3)
    parser.add_argument("--seconds", type=lasting(), default=8.0, help="of a window")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(RELAYS))
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    parser.add_argument("--no-latency", action="store_true", help="leave out the delay at half a core")
    parser.add_argument("--profile", action="store_true", help="py-spy looks at each side in the last turn")
    parser.add_argument("--venvs", type=Path, default=default_folder(), help="where the peers are installed")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines, the plots and the profiles")
    return parser.parse_args()


def main() -> None:
    asked = options()
    programs = pythons(asked.venvs, asked.sides)
    if PICOWS not in programs:
        raise SystemExit(NO_LOAD)
    name = f"talking-{asked.sessions}" + ("-memory" if asked.memory else "")
    lines = RawLines(asked.raw, name, versions(programs))
    print(lines.introduction(), flush=True)
    if asked.memory:
        print("\n".join([f"{asked.sessions} sessions\n", MEMORY_HEAD, *memory_rows(asked, programs, lines)]))
        print(f"\n{lines.loads()}")
        return
    taken = turns(asked, programs, lines)
    print("\n".join([f"{asked.sessions} sessions that talk\n", CPU_HEAD, *cpu_rows(taken)]))
    if taken.get(OURS):
        print(f"\nbehind the gateway, of a core: {behind(taken[OURS])}")
    if rows := list(delay_rows(taken)):
        print("\n".join(["", DELAY_HEAD, *rows]))
    print(f"\n{lines.loads()}; the load's own core: at most {most_of_the_load(taken):.0%}")
    bars = [Bar(TITLES[side], [turn.talk.cpu_ms for turn in found], side == OURS) for side, found in taken.items()]
    draw(asked.raw / f"{name}-cpu.svg", f"CPU ms a session-second, {asked.sessions} sessions", bars)


if __name__ == "__main__":
    main()
