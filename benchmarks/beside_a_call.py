"""What it costs to stand beside a WebRTC call: the answer to its offer, the gateway's processor time, the guard.

All of it is measured against a Realtime API of this repository that takes calls and answers at once. *The answer*: a
browser's POST through the gateway against the same POST to the provider itself, one after the other, with a client
secret each; every call has a row, gets the provider's SDP, and has a gateway beside it. *The processor time* of a
session that is watched, against one that is relayed (`talking_sessions.py`), while the model speaks all the time: the
sideband is sent what recorded ones were. *The guard*: from the echo of a hostile event on the sideband until what
undoes it has come to the provider, while those sessions talk. All is counted at the provider.

    .venv/bin/python benchmarks/beside_a_call.py             # 5 turns: twelve minutes
    .venv/bin/python benchmarks/beside_a_call.py --turns 1 --profile
    .venv/bin/python benchmarks/beside_a_call.py --quick
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.beside.hostile_page import KINDS
from benchmarks.beside.turns import ANSWER, COST, GUARD, PARTS, Plan, Turn, measure
from benchmarks.measuring.bounds import lasting, whole
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.outages.figures import percentile
from benchmarks.peers_side_by_side.venvs import default_folder
from benchmarks.talking.sides import NO_LOAD, OURS, PICOWS, pythons, versions

QUICK = Plan(calls=3, watched=2, relayed=2, seconds=1.0, events=1, ramp=0.5)
"""One turn, to see that it runs: its figures tell nothing."""
ANSWER_HEAD = "| the answer to an offer | calls | p50 ms: median (least to most) | p99 ms |\n" + "| --- " * 4 + "|"
CPU_HEAD = "| session | CPU ms a session-second: median (least to most) | to a relayed one |\n" + "| --- " * 3 + "|"
GUARD_HEAD = "| hostile event | events | undone, ms p50 / p99 | hung up, ms p50 / p99 |\n" + "| --- " * 4 + "|"


def answer_rows(turns: Sequence[Turn]) -> Iterator[str]:
    """The provider's own answer, ours, and what is added: the median of the differences within a turn."""
    yield ANSWER_HEAD
    sides: dict[str, Callable[[Turn], list[float]]] = {
        "the provider’s own": lambda turn: turn.direct,
        "through the gateway": lambda turn: turn.ours,
    }
    for name, of in sides.items():
        calls = sum(len(of(turn)) for turn in turns)
        p99 = median(percentile(of(turn), 0.99) for turn in turns)
        yield f"| {name} | {calls} | {spread([percentile(of(turn), 0.5) for turn in turns])} | {p99:.2f} |"
    yield f"| added | | {spread([turn.added for turn in turns])} | |"


def cpu_rows(turns: Sequence[Turn]) -> Iterator[str]:
    """Both kinds of session; a ratio is the median of the ratios within a turn."""
    ratios = [turn.ratio for turn in turns]
    yield CPU_HEAD
    yield f"| relayed | {spread([turn.relayed_cpu for turn in turns])} | 1 |"
    yield f"| watched | {spread([turn.watched_cpu for turn in turns])} | {spread(ratios)} |"
    yield f"\nevents a second that a sideband was sent: {median(turn.watched_events for turn in turns):.1f}"


def guard_rows(turns: Sequence[Turn]) -> Iterator[str]:
    """A row for each kind of event, and one for all."""
    yield GUARD_HEAD
    kinds: dict[str, Sequence[str]] = {**{kind: (kind,) for kind in KINDS}, "all": KINDS}
    for name, of in kinds.items():
        mended = [taken for turn in turns for kind in of for taken in turn.mended[kind]]
        hung_up = [taken for turn in turns for kind in of for taken in turn.hung_up[kind]]
        yield f"| {name} | {len(mended)} and {len(hung_up)} | {shares(mended)} | {shares(hung_up)} |"


def shares(found: Sequence[float]) -> str:
    return f"{percentile(found, 0.5):.1f} / {percentile(found, 0.99):.1f}"


def spread(found: Sequence[float]) -> str:
    return f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


TABLES = {ANSWER: answer_rows, COST: cpu_rows, GUARD: guard_rows}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=whole(), default=5)
    parser.add_argument("--calls", type=whole(), default=60, help="whose answer is timed, of each way, in a turn")
    parser.add_argument("--watched", type=whole(), default=240, help="sessions whose voice goes past the gateway")
    parser.add_argument("--relayed", type=whole(), default=60, help="sessions whose voice goes through it")
    parser.add_argument("--seconds", type=lasting(), default=8.0, help="of a window of talk")
    parser.add_argument("--events", type=whole(), default=20, help="hostile ones of each kind and way, in a turn")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    parser.add_argument("--quick", action="store_true", help="one short turn, to see that all of it runs")
    parser.add_argument("--profile", action="store_true", help="py-spy looks at the gateway in the last turn")
    parser.add_argument("--venvs", type=Path, default=default_folder(), help="where the load's picows is installed")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines and the profiles")
    return parser.parse_args()


def main() -> None:
    asked = options()
    programs = pythons(asked.venvs, [OURS])
    if PICOWS not in programs:
        raise SystemExit(NO_LOAD)
    lines = RawLines(asked.raw, "beside", versions(programs))
    print(lines.introduction(), flush=True)
    turns = []
    for number in range(1 if asked.quick else asked.turns):
        profiles = asked.raw if asked.profile and number == asked.turns - 1 else None
        parts = frozenset(asked.parts)
        sessions = asked.watched, asked.relayed
        plan = QUICK if asked.quick else Plan(asked.calls, *sessions, asked.seconds, asked.events, parts, profiles)
        turn = measure(programs, plan)
        lines.turn(turn=number, **turn.line())
        print(f"  turn {number}: {turn.added:.2f} ms added, {turn.ratio:.2f} of a relayed session", file=sys.stderr)
        turns.append(turn)
    for part, tables in TABLES.items():
        if part in asked.parts:
            print("\n".join([*tables(turns), ""]))
    print(lines.loads())


if __name__ == "__main__":
    main()
