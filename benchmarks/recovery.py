"""How soon everything goes on when a part of it is killed, flushed, away or restarted, and what that loses.

Real processes on embedded servers (durable commits): two gateways, four workers of 20 calls at once, a simulator
without a voice, and a supervisor that starts again what has ended. `control` gives the same tasks and the same kills to
plain Celery, on the same Redis.

    .venv/bin/python benchmarks/recovery.py                      # about 6 minutes
    .venv/bin/python benchmarks/recovery.py --only workers --kills 200
    .venv/bin/python benchmarks/recovery.py --only redis postgres --away 60
    .venv/bin/python benchmarks/recovery.py --quick              # each part once, small: that it works
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measuring.bounds import lasting, whole
from benchmarks.measuring.receipts import insist
from benchmarks.outages import control, gateways_killed, restarts, servers_away, workers_killed
from benchmarks.outages.figures import Figure, tables
from benchmarks.outages.site import Site, open_site
from cli.local_stack.embedded_servers import embedded_servers

QUICK = {
    "kills": 2,
    "gateway_kills": 1,
    "sessions": 4,
    "backlog": 20,
    "rounds": 1,
    "away": 1.0,
    "restarts": 1,
    "tasks": 60,
    "control_kills": 2,
}
SLACK_SECONDS = 30.0
"""A call waits for Postgres for as long as it is away, and while it starts."""

PARTS: dict[str, Callable[[Site, argparse.Namespace], list[Figure]]] = {
    "workers": lambda site, asked: workers_killed.measure(site, asked.kills),
    "gateways": lambda site, asked: gateways_killed.measure(site, asked.gateway_kills, asked.sessions),
    "restarts": lambda site, asked: restarts.measure(site, asked.restarts, asked.sessions * 3 // 2),
    "flush": lambda site, asked: servers_away.flushed(site, asked.backlog, asked.rounds),
    "redis": lambda site, asked: servers_away.redis_away(site, asked.backlog, asked.rounds, asked.away),
    "postgres": lambda site, asked: servers_away.postgres_away(site, asked.sessions, asked.rounds, asked.away),
}
CONTROL = "control"


def measure(asked: argparse.Namespace) -> Iterator[tuple[str, list[Figure]]]:
    """Each part that was asked for, one after the other."""
    with tempfile.TemporaryDirectory() as folder, embedded_servers() as servers:
        home = Path(asked.logs or folder)
        home.mkdir(parents=True, exist_ok=True)
        parts = [name for name in PARTS if name in asked.only]
        if parts:
            with open_site(servers, home, asked.away + SLACK_SECONDS) as site:
                for name in parts:
                    yield name, PARTS[name](site, asked)
        if CONTROL in asked.only:
            yield CONTROL, control.measure(servers, home, asked.tasks, asked.control_kills)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = [*PARTS, CONTROL]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="these parts")
    parser.add_argument("--kills", type=whole(), default=60, help="workers killed")
    parser.add_argument("--gateway-kills", type=whole(), default=10)
    parser.add_argument("--sessions", type=whole(), default=20, help="resumable ones; half as many more in a restart")
    parser.add_argument("--backlog", type=whole(), default=300, help="calls pending when Redis forgets or is away")
    parser.add_argument("--rounds", type=whole(), default=2, help="how often Redis is flushed, and each server is away")
    parser.add_argument("--away", type=lasting(most=90), default=10.0, help="seconds for which it is away; at most 90")
    parser.add_argument("--restarts", type=whole(), default=2, help="rolling restarts of both gateways")
    parser.add_argument("--tasks", type=whole(), default=2_000, help="of each side of the control")
    parser.add_argument("--control-kills", type=whole(), default=20)
    parser.add_argument("--logs", help="keep the logs of all processes in this new folder")
    parser.add_argument("--quick", action="store_true", help="see that it works; the figures mean nothing")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def main() -> None:
    asked = options()
    print(f"$ {' '.join(sys.argv)}\n", flush=True)
    wrong: list[str] = []
    for name, figures in _timed(measure(asked)):
        print(f"## {name}\n\n{tables(figures)}\n", flush=True)
        wrong += [f"{name}: {figure.what}" for figure in figures if not figure.is_measured]
    insist("figures without samples, or that miss what must be", wrong, [])


def _timed(parts: Iterator[tuple[str, list[Figure]]]) -> Iterator[tuple[str, list[Figure]]]:
    """Say on standard error how long each took."""
    began = time.monotonic()
    for part in parts:
        print(f"{part[0]}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        yield part
        began = time.monotonic()


if __name__ == "__main__":
    main()
