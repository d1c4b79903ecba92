"""What a stack costs while no client is there: processor time and memory of each process, and statements a second.

The stack of `ringback demo` without its simulator: a gateway, Postgres (durable commits), Valkey, and so many workers.
After half the time each statement is written into Postgres' log, and counted there: the processor time is of the first
half alone. At the end every lease must have been renewed, or what was idle was dead.

    .venv/bin/python benchmarks/idle.py                        # 30 seconds each
    .venv/bin/python benchmarks/idle.py --workers 8 --seconds 60
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

from benchmarks.calls.sides import AGENT
from benchmarks.measuring.bounds import lasting, whole
from benchmarks.measuring.process_use import Use, stack_processes, use_of, uses_of
from benchmarks.measuring.raw_lines import RAW, ROOT, RawLines
from benchmarks.measuring.receipts import insist
from cli.local_stack.process_group import Process
from cli.local_stack.stack import Stack, running_stack, worker_of

SETTLE_SECONDS = 10.0
"""Seconds until what belongs to a start is over."""
START_SECONDS, LOOK_SECONDS = 60.0, 0.1
HEAD = "| process | % of a core | RSS MiB | descriptors |\n" + "| --- " * 4 + "|"
ALIVE = "SELECT count(*) FROM processes WHERE ended_at IS NULL AND lease_until > now()"
LOGGED = ("execute ", "statement: ")
"""How Postgres begins a line about a statement, prepared or simple."""


def measure(
    stack: Stack, folder: Path, workers: int, settle: float, seconds: float
) -> tuple[dict[str, tuple[Use, Use]], float]:
    """Return what each process used at both ends of the time, and statements a second."""
    more = {f"worker {number}": worker_of(stack, f"worker {number}", folder) for number in range(2, workers + 1)}
    processes = {**stack_processes(stack), **{name: _start(stack, process) for name, process in more.items()}}
    give_up = time.monotonic() + START_SECONDS
    while _alive(stack) < 1 + workers and time.monotonic() < give_up:
        time.sleep(LOOK_SECONDS)
    time.sleep(settle)
    before = uses_of(processes)
    time.sleep(seconds)
    uses = {name: (before[name], use_of(process)) for name, process in processes.items()}
    return uses, _statements(stack, folder, seconds)


def _alive(stack: Stack) -> int:
    """Count the processes that hold a lease."""
    with psycopg.connect(stack.database_url.replace("+psycopg", "")) as connection:
        return int(connection.execute(ALIVE).fetchall()[0][0])


def _start(stack: Stack, worker: Process) -> psutil.Process:
    return psutil.Process(stack.processes.start(worker))


def _statements(stack: Stack, folder: Path, seconds: float) -> float:
    log = folder / "stack" / "postgres.log"
    with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(1.0)  # until each connection has heard of it
        before = _logged(log)
        time.sleep(seconds)
        return (_logged(log) - before) / seconds


def _logged(log: Path) -> int:
    return sum(any(word in line for word in LOGGED) for line in log.read_text(encoding="utf-8").splitlines())


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=whole(), default=1)
    parser.add_argument("--seconds", type=lasting(), default=30.0, help="of each half")
    parser.add_argument("--settle", type=lasting(0), default=SETTLE_SECONDS, help="seconds from start to first half")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines")
    return parser.parse_args()


def main() -> None:
    asked = options()
    lines = RawLines(asked.raw, "idle")
    print(lines.introduction(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another account where this is root
        (folder / "demo.toml").write_text(AGENT)
        settings = {
            "RINGBACK_AGENTS": str(folder),
            "RINGBACK_TOOL_MODULES": "benchmarks.peers_side_by_side.tools",
            "PYTHONPATH": str(ROOT),
        }
        with running_stack(folder / "stack", logs=folder, settings=settings, simulate=False) as stack:
            uses, statements = measure(stack, folder, asked.workers, asked.settle, asked.seconds)
            insist("processes with a lease", _alive(stack), 1 + asked.workers)
            insist("statements were counted", statements > 0, True)
    shares = {name: after.share_since(before) for name, (before, after) in uses.items()}
    print(HEAD)
    for name, (_, after) in uses.items():
        print(f"| {name} | {shares[name]:.2%} | {after.rss_kib / 1024:.0f} | {after.descriptors} |")
    print(f"| all | {sum(shares.values()):.2%} | | |\n\n{statements:.1f} statements a second")
    lines.turn(workers=asked.workers, shares=shares, statements_a_second=round(statements, 2))


if __name__ == "__main__":
    main()
