"""Worker's part in the sweep for all processes: `ringback.sweeper` decides, this module executes."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg

from ringback.config.settings import SWEEP_SECONDS
from ringback.statements.jobs import transitions
from ringback.sweeper import PASSING, Ask, Count, Log, Look, Notify, Publish, Round, Run, Step, Sweeping
from ringback.telemetry import metrics
from workers.leases.lease import Lease
from workers.logs import ThrottledLogger
from workers.storage.connection_pool import ConnectionPool
from workers.storage.database import count, rows
from workers.storage.redis_client import RedisClient

STOP_SECONDS = 2.0
"""How long to wait for the end of a round; it takes milliseconds."""
GIVING_UP_SECONDS = 120.0
"""How long a claim is looked for that was given up: most jobs are past their deadline by then, and none claims them."""

Publisher = Callable[[UUID, str], None]
"""Publishes a job's id to a queue; raises if the broker cannot be reached."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)
_throttled_by_step: defaultdict[str, ThrottledLogger] = defaultdict(lambda: ThrottledLogger(logger))


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Executes the steps of a round."""

    pool: ConnectionPool
    publisher: Publisher
    redis: RedisClient

    def carry_out(self, sweeping: Look | Round) -> float:
        """Execute a look or a round; return its result."""
        answer: Any = None
        try:
            while True:
                answer = self._do(sweeping.send(answer))
        except StopIteration as over:
            return float(over.value)

    def publish(self, jobs: Iterable[tuple[UUID, str]]) -> int:
        """Publish in order; return how many were accepted. A broker that refuses one message refuses them all."""
        published = 0
        for job_id, queue in jobs:
            if not self._publish_one(job_id, queue):
                metrics.PUBLISH_FAILURES.inc()
                break
            published += 1
        return published

    def _do(self, step: Step) -> Any:
        match step:
            case Run():
                return self.run(step)
            case Ask(commands):
                return self.redis.ask(commands)
            case Publish(jobs):
                published = self.publish(jobs)
                metrics.REPUBLISHED.inc(by=published)
                return published
            case Count(what, rows):
                metrics.count_rescues(what, rows)
            case Notify(gateway_id, session_id):
                self.redis.notify(gateway_id, session_id)
            case Log(text):
                logger.info("%s", text)
        return None

    def run(self, step: Run) -> list[Any] | None:
        """Run a step's statement. A failure is logged, and the round goes on with the next step."""
        try:
            if step.returns:
                return rows(self.pool, step.statement)
            count(self.pool, step.statement)
        except psycopg.Error as problem:
            if problem.sqlstate not in PASSING:
                _throttled_by_step[step.name].warning("sweep step failed (%s): %s; trying again", step.name, problem)
            return None
        return []

    def _publish_one(self, job_id: UUID, queue: str) -> bool:
        with suppress(Exception):  # the connection may have gone stale since it was last used: once more
            self.publisher(job_id, queue)
            return True
        try:
            self.publisher(job_id, queue)
        except Exception as problem:
            kind = type(problem).__name__
            _throttled.warning("publishing failed (%s: %s); a sweeper tries again", kind, problem)
            return False
        return True


class Sweeper:
    """Thread that sweeps for all processes if it is this one's turn, until it is stopped."""

    def __init__(self, steps: StepRunner, lease: Lease) -> None:
        self._steps = steps
        self._lease = lease
        self._sweeping: Sweeping | None = None
        self._suspects: SimpleQueue[str] = SimpleQueue()
        self._given_up: dict[UUID, tuple[UUID, float]] = {}
        """By token: the job of a claim that Postgres may execute yet, and until when."""
        self._ended = False
        self._wake = Event()
        self._thread = Thread(target=self._sweep_until_ended, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin, with a first look half a second later."""
        self._thread.start()

    def suspect(self, queues: Iterable[str]) -> None:
        """Record that messages of these queues may be lost: the next look publishes their oldest jobs again."""
        for queue in queues:
            self._suspects.put(queue)
        self._wake.set()

    def give_up(self, job_id: UUID, token: UUID) -> None:
        """Give back the job as soon as Postgres has executed this claim, of which the worker does not know."""
        self._given_up[token] = job_id, monotonic() + GIVING_UP_SECONDS
        self._wake.set()

    def stop(self) -> None:
        """Stop. No further round begins, and the running one is over, unless Postgres hangs."""
        self._ended = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _sweep_until_ended(self) -> None:
        pause = SWEEP_SECONDS
        while not self._ended:
            self._wake.wait(pause)
            self._wake.clear()
            pause = SWEEP_SECONDS
            if not self._lease.held:
                continue
            try:
                pause = self._look()
            except Exception:
                logger.exception("sweep failed by a fault; the next look tries again")

    def give_up_claims(self) -> None:
        """Give back the jobs of those claims that Postgres has executed by now; forget claims that are too old."""
        given_up = dict(self._given_up)
        if not given_up:
            return
        statement = transitions.give_up_claims([job_id for job_id, _ in given_up.values()], list(given_up))
        found = {row.id for row in self._steps.run(Run(statement, "give up claims")) or ()}
        for job_id in found:
            logger.info("claim given up (job %s): it was executed late, and not begun", job_id)
        claims = Counter(job_id for job_id, _ in given_up.values())
        for token, (job_id, until) in given_up.items():
            # Which of several claims of one job was executed is not told: the others may be yet.
            if (job_id in found and claims[job_id] == 1) or monotonic() > until:
                self._given_up.pop(token, None)

    def _look(self) -> float:
        self.give_up_claims()
        self._sweeping = self._sweeping or Sweeping(self._lease.worker_id)
        self._sweeping.suspect(self._suspects.get() for _ in range(self._suspects.qsize()))
        return self._steps.carry_out(self._sweeping.look())
