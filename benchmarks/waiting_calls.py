"""What it costs one worker process to have hundreds of calls wait at once, in each way to hold them.

    async       `async def` tools wait on the worker's one loop, and hold no thread
    sync        plain functions wait, each in a thread of its own

For each, a fresh worker on embedded servers: as many calls as asked for, all inside their function at once; meanwhile
short calls one after the other, beside which the calls that wait should not be felt. Then as many calls of a second
each, asked for at once. Every call must have succeeded, and those that wait must all be inside while others are timed.

    .venv/bin/python benchmarks/waiting_calls.py [--calls 500 5000] [--short 200] [--ways async sync]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measuring.bounds import whole
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.measuring.receipts import insist
from benchmarks.outages.desk import Desk, open_desk
from benchmarks.outages.figures import percentile
from benchmarks.waiting.tools import FOLDER, a_second, hold, hold_a_thread, nothing
from cli.local_stack.embedded_servers import Servers, embedded_servers
from cli.local_stack.process_group import Process, ProcessGroup
from ringback.postgres.migrate import upgrade

PROJECT = Path(__file__).parents[1]
TOOLS = "benchmarks.waiting.tools"
SPARE = 20
"""Calls that a worker may run beside those that wait: the short ones."""
PATIENCE = 300.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Way:
    """One way to hold a call that waits."""

    name: str
    waits: object


WAYS = {
    way.name: way
    for way in (
        Way("async", hold),
        Way("sync", hold_a_thread),
    )
}


@dataclass(frozen=True)
class Measured:
    """One worker with so many calls."""

    way: str
    calls: int
    idle_mib: float
    full_mib: float
    threads: int
    short: list[float]
    """Milliseconds of each short call, from its row to its outcome, while the others wait."""
    alone: list[float]
    """The same with nothing beside it."""
    a_second: float | None
    """Seconds until all calls of a second are over; None for plain functions."""

    def row(self) -> str:
        figures = (self.idle_mib, self.full_mib, (self.full_mib - self.idle_mib) * 1024 / self.calls)
        sizes = " | ".join(f"{figure:.0f}" for figure in figures)
        times = " | ".join(f"{percentile(of, 0.5):.1f} / {percentile(of, 0.99):.1f}" for of in (self.alone, self.short))
        whole = f"{self.a_second:.2f}" if self.a_second is not None else "-"
        return f"| {self.way} | {self.calls} | {sizes} | {self.threads} | {times} | {whole} |"


HEAD = (
    "| way | calls | RSS idle MiB | RSS full MiB | KiB a call | threads | short call alone, p50 / p99 ms | "
    "short call meanwhile, p50 / p99 ms | all of a second, s |\n" + "| --- " * 9 + "|"
)


def measure(servers: Servers, desk: Desk, folder: Path, way: Way, calls: int, short: int) -> Measured:
    """A fresh worker, and what it is like with so many calls in it."""
    gate = f"{way.name}-{calls}"
    with worker(servers, folder, way, calls) as pid:
        one_by_one(desk, 30)
        alone, idle = one_by_one(desk, short), resident(pid)
        waiting = desk.ask(way.waits, calls, gate=gate)  # type: ignore[arg-type]
        until(lambda: len(desk.running_on(pid)) >= calls, f"{calls} calls to be inside")
        time.sleep(1.0)
        full, threads = resident(pid), int(status(pid, "Threads"))
        meanwhile = one_by_one(desk, short)
        insist("calls that waited meanwhile", desk.ends(waiting), {"running": calls})
        (folder / gate).touch()
        until(lambda: desk.ends(waiting).get("running", 0) == 0, "the calls that waited to end", pause=0.5)
        insist("how the calls that waited ended", desk.ends(waiting), {"succeeded": calls})
        whole = None if way.waits is hold_a_thread else all_of_a_second(desk, calls)
    return Measured(way.name, calls, idle, full, threads, meanwhile, alone, whole)


def one_by_one(desk: Desk, count: int) -> list[float]:
    """Milliseconds of each, on the database's clock: from before it is recorded until it is finished."""
    taken = []
    for _ in range(count):
        began = desk.now()
        ids = desk.ask(nothing, 1)
        until(lambda ids=ids: desk.finished(ids), "a short call to end", pause=0.002)
        insist("how a short call ended", desk.ends(ids), {"succeeded": 1})
        taken.append((desk.finished(ids)[ids[0]] - began).total_seconds() * 1_000)
    return taken


def all_of_a_second(desk: Desk, calls: int) -> float:
    """Seconds from the first message until the last outcome."""
    ids = desk.record(a_second, calls)
    began = desk.now()
    desk.publish(a_second, ids)
    until(lambda: not desk.ends(ids).keys() - {"succeeded"}, "the calls of a second to end", pause=0.5)
    insist("how the calls of a second ended", desk.ends(ids), {"succeeded": calls})
    return (max(desk.finished(ids).values()) - began).total_seconds()


@contextmanager
def worker(servers: Servers, folder: Path, way: Way, calls: int) -> Iterator[int]:
    environment = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "RINGBACK_TOOL_MODULES": TOOLS,
        "RINGBACK_WORKER_CONCURRENCY": str(calls + SPARE),
        "PYTHONPATH": str(PROJECT),
        FOLDER: str(folder),
    }
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "workers.app", "worker", "-l", "WARNING"]
    name = f"{way.name}-{calls}"
    with ProcessGroup() as group:
        yield group.start(Process(name, command, environment, folder / f"{name}.log"))
        group.kill(name)


def status(pid: int, name: str) -> str:
    """A line of what Linux knows of the process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def resident(pid: int) -> float:
    return int(status(pid, "VmRSS")) / 1024


def until(true: object, what: str, pause: float = LOOK_SECONDS) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():  # type: ignore[operator]
        if time.monotonic() > give_up:
            raise SystemExit(f"waited {PATIENCE:g} s in vain: {what}")
        time.sleep(pause)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=whole(), nargs="+", default=[500, 5_000], help="calls at once")
    parser.add_argument("--short", type=whole(), default=200, help="short calls beside them")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines")
    return parser.parse_args()


def main() -> None:
    asked = options()
    lines = RawLines(asked.raw, "waiting-calls")
    print(f"{lines.introduction()}\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory() as name, embedded_servers() as servers:
        upgrade(servers.database_url)
        with open_desk(servers.database_url, servers.redis_url) as desk:
            for calls in asked.calls:
                for way in asked.ways:
                    measured = measure(servers, desk, Path(name), WAYS[way], calls, asked.short)
                    lines.turn(**asdict(measured))
                    print(measured.row(), flush=True)


if __name__ == "__main__":
    main()
