"""From the kill -9 of a worker until each call that it ran is claimed by another."""

from __future__ import annotations

import random
import time
from datetime import datetime
from uuid import UUID

from benchmarks.outages.figures import Counted, Figure, Timed
from benchmarks.outages.site import WORKERS, Site
from benchmarks.outages.tools import hold

HELD = 3
"""Calls that a worker runs when it is killed, at least."""
STAY = 2
"""Workers that are up beside the one that is killed."""
GATE = "workers-killed"
LOOK_SECONDS = 0.05
RENEWAL_SECONDS = 1.0
"""A kill comes anywhere between two renewals of the lease."""


def measure(site: Site, kills: int) -> list[Figure]:
    """One worker after the other; a supervisor starts each again."""
    asked: list[UUID] = []
    killed: dict[UUID, datetime] = {}
    for number in range(kills):
        at, held = _kill_one(site, WORKERS[number % len(WORKERS)], asked)
        killed |= dict.fromkeys(held, at)
    claims = site.desk.await_claims(killed, attempt=2)
    site.open(GATE)
    site.desk.await_over(asked)
    outcomes = site.desk.outcomes(asked)
    taken = [(claims[job_id] - at).total_seconds() for job_id, at in killed.items() if job_id in claims]
    return [
        Timed(f"worker killed ({kills} times) -> its call claimed by another", taken, "p99 <= 5"),
        Counted("calls of killed workers never claimed again", len(killed) - len(taken), len(killed), "0"),
        Counted("calls without exactly one outcome", sum(times != 1 for times in outcomes), len(asked), "0"),
    ]


def _kill_one(site: Site, victim: str, asked: list[UUID]) -> tuple[datetime, list[UUID]]:
    """When it was killed, by the database's clock, and what it ran."""
    site.crew.await_up(victim)
    _give_work(site, victim, asked)
    time.sleep(random.uniform(0, RENEWAL_SECONDS))
    while len(site.crew.up(*WORKERS)) <= STAY:
        time.sleep(LOOK_SECONDS)
    held = site.desk.running_on(site.crew.pids[victim])
    at = site.desk.now()
    site.crew.kill(victim)
    return at, held


def _give_work(site: Site, victim: str, asked: list[UUID]) -> None:
    """Ask for calls until the worker runs enough of them: who takes one is for Redis to say."""
    while len(site.desk.running_on(site.crew.pids[victim])) < HELD:
        more = site.desk.ask(hold, len(WORKERS), gate=GATE)
        asked += more
        site.desk.await_claims(more)
