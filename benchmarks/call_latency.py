"""What a call costs from the model's finished arguments until its output is back there, on every side in one run.

`ringback` is a whole gateway, Postgres (durable commits), Valkey, Celery and a worker. The floors have nothing of ours:
the same shape with the least in it (Celery's `send_task`, two durable statements by psycopg, the result by a Redis
stream), the same by LPUSH and BRPOP, and a function in the loop that reads the connection. The frameworks run it in
the one process that holds the connection, and lose it with that process. All talk to the same upstream in turns; each
output is looked at there, and each row where there are rows: a call that was refused is no call.

    .venv/bin/python benchmarks/call_latency.py                                    # 5 turns: ten minutes
    .venv/bin/python benchmarks/call_latency.py --sides ringback --turns 1 --at-once 60 --profile
    .venv/bin/python benchmarks/call_latency.py --sides ringback ringback-traced   # what traces cost
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from benchmarks.calls.sides import FRAMEWORKS, IN_PROCESS, OURS, SIDES, TITLES, Running, side
from benchmarks.calls.upstream import PATIENCE, Batch, Upstream
from benchmarks.measuring.bars import Bar, draw
from benchmarks.measuring.bounds import whole
from benchmarks.measuring.process_use import Use, profile, uses_of
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.measuring.receipts import insist
from benchmarks.outages.figures import percentile
from benchmarks.peers_side_by_side.driving import DriverError
from benchmarks.peers_side_by_side.venvs import available, default_folder, titles

WARM_UP, WARM_UP_AT_ONCE = 20, 5
"""Calls of each session before any is timed."""
PAUSE_SECONDS = 0.1
"""Between two turns of a session that is alone: a framework may still be at the end of the one before."""
LOOK_SECONDS = 1.0
"""How often it is looked whether a process has ended."""
PROFILE_SECONDS, PROFILE_CALLS = 8.0, 2_000
"""For each process, and of all sessions."""
SEVERAL = [name for name in SIDES if name not in (IN_PROCESS, *FRAMEWORKS)]
"""Sides of which many sessions are measured at once."""
HEAD = (
    "| side | calls | p50 ms: median (least to most) | p99 ms | p99 to p50 | ours to it, p50 | CPU ms a call |\n"
    + "| --- " * 7
    + "|"
)
RATE_HEAD = (
    "| side | calls a second: median (least to most) | ours to it | p50 ms | p99 ms | CPU ms a call |\n"
    + "| --- " * 6
    + "|"
)


@dataclass(frozen=True)
class Measured:
    """One side in one turn, with so many sessions at once."""

    side: str
    at_once: int
    milliseconds: list[float]
    rate: float
    cpu_ms: dict[str, float]
    """Of each process, for a whole turn of conversation with its call."""

    @property
    def p50(self) -> float:
        return percentile(self.milliseconds, 0.5)

    @property
    def p99(self) -> float:
        return percentile(self.milliseconds, 0.99)

    def line(self) -> dict[str, Any]:
        return {"p50": self.p50, "p99": self.p99, **asdict(self)}


Found = dict[str, list[Measured]]


def measure(name: str, python: Path, upstream: Upstream, asked: argparse.Namespace, last: bool) -> Iterator[Measured]:
    """Run the side anew: one session alone, then many at once."""
    with (
        tempfile.TemporaryDirectory() as folder,
        side(name, upstream.url, python, Path(folder)) as running,
    ):
        yield _batch(name, running, upstream.begin(Batch(1, asked.calls, WARM_UP, PAUSE_SECONDS)))
        if name in SEVERAL:
            yield _batch(name, running, upstream.begin(Batch(asked.at_once, asked.calls_at_once, WARM_UP_AT_ONCE, 0)))
        if name == OURS and asked.profile and last:
            calls = ceil(PROFILE_CALLS / asked.at_once)
            _profile(running, upstream.begin(Batch(asked.at_once, calls, WARM_UP_AT_ONCE, 0)), asked)


def _batch(name: str, running: Running, batch: Batch) -> Measured:
    with ExitStack() as around:
        running.connect(batch.sessions, around)
        _await(batch.has_begun.wait, name, running, batch)
        before = uses_of(running.processes)
        batch.may_go_on.set()
        _await(batch.is_over.wait, name, running, batch)
        after = uses_of(running.processes)
    of = batch.sessions * (batch.calls + batch.warm_up)
    insist(f"{name}: outputs that are the result ({batch.strange})", dict(batch.outputs), {True: of})
    insist(f"{name}: calls that were timed", len(batch.milliseconds), batch.sessions * batch.calls)
    running.check(batch)
    return Measured(
        name,
        batch.sessions,
        [round(taken, 3) for taken in batch.milliseconds],
        round(batch.rate, 2),
        {process: _cpu_ms(before[process], after[process], batch) for process in before},
    )


def _cpu_ms(before: Use, after: Use, batch: Batch) -> float:
    return round(after.cpu_since(before) * 1_000 / (batch.sessions * batch.calls), 3)


def _await(wait: Callable[[float], bool], name: str, running: Running, batch: Batch) -> None:
    """Wait for the batch; raise TimeoutError if it takes too long, or a process has ended that it needs."""
    give_up = monotonic() + PATIENCE
    while not wait(LOOK_SECONDS):
        came = f"{name}: {len(batch.call_ids)} calls came back"
        if gone := running.gone():
            raise TimeoutError(f"{came}, then {' and '.join(gone)} ended. The others: {running.left(batch)}")
        if monotonic() > give_up:
            raise TimeoutError(f"{came} within {PATIENCE:g} s, and no more. The others: {running.left(batch)}")


def _profile(running: Running, batch: Batch, asked: argparse.Namespace) -> None:
    """Look at the gateway, then at the worker, while calls are made."""
    with ExitStack() as around:
        batch.may_go_on.set()
        running.connect(batch.sessions, around)
        for process in ("gateway", "worker"):
            path = asked.raw / f"calls-{batch.sessions}-{process}-profile.txt"
            profile(running.processes[process], PROFILE_SECONDS, path)
        _await(batch.is_over.wait, OURS, running, batch)
    running.check(batch)


def turns(asked: argparse.Namespace, pythons: dict[str, Path], lines: RawLines) -> Found:
    """Every side in turn, so often. A framework that does not get through is left out; any other ends the run."""
    found: Found = {name: [] for name in asked.sides if name in pythons}
    with Upstream() as upstream:
        for number in range(asked.turns):
            for name in list(found):
                try:
                    for one in measure(name, pythons[name], upstream, asked, number == asked.turns - 1):
                        lines.turn(turn=number, **one.line())
                        print(f"  turn {number}, {name} x {one.at_once}: {one.p50:.2f} ms", file=sys.stderr, flush=True)
                        found[name].append(one)
                except (DriverError, TimeoutError) as problem:
                    if name not in FRAMEWORKS:
                        raise SystemExit(f"this measures nothing: {problem}") from problem
                    print(f"{name} is left out from here on: {problem}", file=sys.stderr)
                    del found[name]
    return found


def latency_rows(found: Found, heads: dict[str, str]) -> Iterator[str]:
    """A row for each side, one session alone."""
    alone = {name: [one for one in of if one.at_once == 1] for name, of in found.items()}
    for name, of in alone.items():
        p50s = [one.p50 for one in of]
        cells = [
            heads[name],
            f"{sum(len(one.milliseconds) for one in of)}",
            f"{median(p50s):.2f} ({min(p50s):.2f} to {max(p50s):.2f})",
            f"{median(one.p99 for one in of):.2f}",
            f"{median(one.p99 / one.p50 for one in of):.1f}",
            ratio(alone.get(OURS, []), of, lambda one: one.p50),
            cpu(of),
        ]
        yield f"| {' | '.join(cells)} |"


def rate_rows(found: Found, heads: dict[str, str]) -> Iterator[str]:
    """A row for each side of which many sessions were measured at once."""
    several = {name: [one for one in of if one.at_once > 1] for name, of in found.items()}
    for name, of in several.items():
        if of:
            rates = [one.rate for one in of]
            cells = [
                heads[name],
                f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})",
                ratio(several.get(OURS, []), of, lambda one: one.rate),
                f"{median(one.p50 for one in of):.1f}",
                f"{median(one.p99 for one in of):.1f}",
                cpu(of),
            ]
            yield f"| {' | '.join(cells)} |"


def ratio(of: Sequence[Measured], to: Sequence[Measured], figure: Callable[[Measured], float]) -> str:
    """The median of the ratios within a turn."""
    ratios = [figure(one) / figure(other) for one, other in zip(of, to, strict=False)]
    return f"{median(ratios):.2f}" if ratios else "-"


def cpu(of: Sequence[Measured]) -> str:
    names = of[0].cpu_ms
    return ", ".join(f"{name} {median(one.cpu_ms[name] for one in of):.1f}" for name in sorted(names)) or "-"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--turns", type=whole(), default=5)
    parser.add_argument("--calls", type=whole(), default=100, help="of one session alone")
    parser.add_argument("--at-once", type=whole(), default=16, help="sessions that call at the same time")
    parser.add_argument("--calls-at-once", type=whole(), default=40, help="of each of them")
    parser.add_argument(
        "--profile", action="store_true", help="py-spy looks at our gateway and worker in the last turn"
    )
    parser.add_argument("--venvs", type=Path, default=default_folder(), help="where the frameworks are installed")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines, the plot and the profiles")
    return parser.parse_args()


def main() -> None:
    asked = options()
    pythons = {name: Path(sys.executable) for name in (name for name in SIDES if name not in FRAMEWORKS)}
    pythons |= available(asked.venvs, [name for name in asked.sides if name in FRAMEWORKS])
    versions = {name: titles()[name].rpartition(" ")[2] for name in FRAMEWORKS if name in pythons}
    heads = {**TITLES, **titles()}
    lines = RawLines(asked.raw, "calls", versions)
    print(lines.introduction(), flush=True)
    found = turns(asked, pythons, lines)
    print("\n".join([HEAD, *latency_rows(found, heads)]))
    if rows := list(rate_rows(found, heads)):
        print("\n".join([f"\n{asked.at_once} sessions at once\n", RATE_HEAD, *rows]))
    print(f"\n{lines.loads()}")
    bars = [Bar(heads[name], [one.p50 for one in of if one.at_once == 1], name == OURS) for name, of in found.items()]
    draw(asked.raw / "calls-p50.svg", "a call, p50 ms", bars)


if __name__ == "__main__":
    main()
