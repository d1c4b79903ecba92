"""What each page of the console costs on a small and a large history: in the database, whole, and on a cold cache.

Each size is a Postgres of its own. Every page is asked for from the gateway's application, in this process, and must
hold its rows. *In the database* is the sum of the page's statements, by Postgres' own log. *Cold* is the page as the
first one after Postgres was restarted, with its files dropped from the system's cache: each page after a restart of its
own. At the end, viewers follow the jobs page of a whole stack while calls go on, and the gateway's processor time is
compared with that of the same time without them.

    .venv/bin/python benchmarks/console.py                     # 100,000 and 1,000,000 jobs: 20 minutes
    .venv/bin/python benchmarks/console.py --jobs 100000 --times 20 --viewers 0
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import psycopg

from benchmarks.console_pages import viewers as viewing
from benchmarks.console_pages.pages import PAGES, Asked
from benchmarks.console_pages.rows import fill
from benchmarks.console_pages.visitor import Cost, visiting
from benchmarks.measuring.bounds import lasting, whole
from benchmarks.measuring.process_use import family, use_of
from benchmarks.measuring.raw_lines import RAW, ROOT, RawLines
from benchmarks.measuring.receipts import insist
from cli.local_stack.embedded_servers import Servers, embedded_servers
from cli.local_stack.stack import Stack, running_stack
from ringback.postgres.migrate import upgrade

WARM_UP, PATIENCE = 2, 60.0
GOAL_MS, COLD_GOAL_MS, VIEWER_GOAL = 100.0, 1_000.0, 0.01
CHANGE_SECONDS = 0.5
"""Between two changes of a call while viewers follow."""
CHANGE = (
    "INSERT INTO job_events (job_id, state, delivery, attempt) SELECT id, state, delivery, attempt FROM jobs LIMIT 1"
)
HEAD = (
    "| page | in the database, ms: p50 (worst) | its slowest statement | page, ms: p50 (worst) | cold, ms |\n"
    + "| --- " * 5
    + "|"
)


@contextmanager
def filled(folder: Path, jobs: int) -> Iterator[Servers]:
    """Run servers whose database holds so many jobs."""
    with embedded_servers(folder, durable=False) as servers:
        upgrade(servers.database_url)
        print(f"  filling {jobs:,} jobs", file=sys.stderr, flush=True)
        fill(servers.database_url, jobs)
        yield servers


def warm(servers: Servers, folder: Path, times: int) -> dict[str, list[Cost]]:
    """Ask for each page so often."""
    found: dict[str, list[Cost]] = {}
    with visiting(servers.database_url, folder / "postgres.log") as visitor:
        for asked in PAGES:
            for _ in range(WARM_UP):
                visitor.ask(asked)
            found[asked.title] = [visitor.ask(asked) for _ in range(times)]
    return found


def cold(servers: Servers, folder: Path, pages: Sequence[Asked]) -> dict[str, float]:
    """Ask for each page once, as the first one of a Postgres whose files are on the disk alone."""
    found = {}
    for asked in pages:
        postgres = psutil.Process(servers.processes.pid("postgres"))
        postgres.send_signal(signal.SIGINT)  # an end in order, which leaves nothing to recover
        postgres.wait(PATIENCE)
        evict(folder / "postgres")
        servers.processes.restart("postgres")
        with visiting(servers.database_url, folder / "postgres.log") as visitor:
            before = bytes_read(servers)
            found[asked.title] = visitor.ask(asked).page
            insist(f"{asked.title}: Postgres read from the disk", bytes_read(servers) > before, True)
    return found


def evict(folder: Path) -> None:
    """Write all files of the folder to the disk, and drop them from the system's cache."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def bytes_read(servers: Servers) -> int:
    """Return what Postgres' processes have read from the disk."""
    return sum(one.io_counters().read_bytes for one in family(psutil.Process(servers.processes.pid("postgres"))))


def viewers(folder: Path, number: int, seconds: float) -> dict[str, Any]:
    """Return the share of a core that the gateway takes without viewers and with them, while calls change."""
    with running_stack(folder, logs=folder, durable=False, simulate=False) as stack, changing(stack):
        gateway = psutil.Process(stack.processes.pid("gateway"))
        _follow(stack, 1, WARM_UP)
        shares, told = [], {}
        for now in (0, number):
            before = use_of(gateway)
            told = _follow(stack, now, seconds)
            shares.append(use_of(gateway).share_since(before))
    insist("viewers were told of changes", told["event: changed"] >= number * seconds / 4, True)
    insist("rows of the pages", told["rows"], told["pages"] * 50)
    return {"without": shares[0], "with": shares[1], "each": (shares[1] - shares[0]) / number, **told}


def _follow(stack: Stack, number: int, seconds: float) -> dict[str, int]:
    words = [sys.executable, "-m", "benchmarks.console_pages.viewers", stack.url, str(number), str(seconds)]
    env = {**os.environ, viewing.TOKEN: stack.token, "PYTHONPATH": str(ROOT)}
    if not number:
        threading.Event().wait(seconds)
        return {}
    told = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    insist(f"viewers ended in peace ({told.stderr[-500:]})", told.returncode, 0)
    counts: dict[str, int] = json.loads(told.stdout)
    return counts


@contextmanager
def changing(stack: Stack) -> Iterator[None]:
    """Let a call change all the time."""
    over = threading.Event()

    def change() -> None:
        with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            while not over.wait(CHANGE_SECONDS):
                connection.execute(CHANGE)

    thread = threading.Thread(target=change, name="changes")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def table(found: dict[str, list[Cost]], first: dict[str, float]) -> Iterator[str]:
    """Yield a row for each page; what misses its goal is marked."""
    yield HEAD
    for title, costs in found.items():
        database, page = [each.database for each in costs], [each.page for each in costs]
        yield (
            f"| {title} | {_told(database, GOAL_MS)} | {median(each.slowest for each in costs):.1f} "
            f"| {_told(page, COLD_GOAL_MS)} | {_marked(first[title], COLD_GOAL_MS) if title in first else '–'} |"
        )


def _told(values: Sequence[float], goal: float) -> str:
    return f"{_marked(median(values), goal)} ({max(values):.1f})"


def _marked(value: float, goal: float) -> str:
    return f"{value:.1f}" if value <= goal else f"**{value:.1f}**"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=whole(), nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--times", type=whole(), default=20, help="of each page, on a warm cache")
    parser.add_argument("--no-cold", action="store_true", help="leave out the pages on a cold cache")
    parser.add_argument("--viewers", type=whole(0), default=20, help="who follow the jobs page; 0 leaves them out")
    parser.add_argument("--seconds", type=lasting(), default=30.0, help="for which they follow it")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines")
    return parser.parse_args()


def main() -> None:
    asked = options()
    lines = RawLines(asked.raw, "console")
    print(lines.introduction(), flush=True)
    for jobs in asked.jobs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)  # Postgres runs as another account where this is root
            with filled(folder, jobs) as servers:
                found = warm(servers, folder, asked.times)
                first = {} if asked.no_cold else cold(servers, folder, PAGES)
            for title, costs in found.items():
                database, page = ([round(getattr(each, of), 2) for each in costs] for of in ("database", "page"))
                lines.turn(jobs=jobs, page=title, database_ms=database, page_ms=page, cold_ms=first.get(title))
            print("\n".join([f"\n{jobs:,} jobs\n", *table(found, first)]), flush=True)
            if asked.viewers:
                shares = viewers(folder, asked.viewers, asked.seconds)
                lines.turn(jobs=jobs, viewers=asked.viewers, seconds=asked.seconds, **shares)
                print(
                    f"\n{asked.viewers} viewers: {shares['each']:.2%} of a core each "
                    f"(goal {VIEWER_GOAL:.0%}; without {shares['without']:.1%}, with them {shares['with']:.1%})"
                )
    print(f"\n{lines.loads()}")


if __name__ == "__main__":
    main()
