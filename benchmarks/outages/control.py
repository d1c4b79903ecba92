"""The same work and the same kills for plain Celery and for Ringback: what never ran, and what ran twice."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import redis

from benchmarks.outages import plain
from benchmarks.outages.crew import PATIENCE, Crew, supervised
from benchmarks.outages.desk import Desk, open_desk
from benchmarks.outages.figures import Counted, Figure
from benchmarks.outages.site import ROOT, WORKER_READY, environment, worker
from benchmarks.outages.tools import FOLDER, LEDGER, mark
from cli.local_stack.embedded_servers import Servers
from cli.local_stack.process_group import Process
from ringback.postgres.migrate import upgrade
from tests.servers import own_database

AT_ONCE = 4
"""Tasks that the worker of either side runs at once."""
LOOK_SECONDS = 0.002
NO_MORE_SECONDS = plain.VISIBILITY_SECONDS + 1.0
"""A worker that has written nothing for so long has nothing to do: it is killed all the same."""
SETTLED_SECONDS = 2.0 * plain.VISIBILITY_SECONDS
"""Nothing has run for so long, and Redis holds nothing: what has not run by then never will."""
QUEUE, UNACKED = "celery", "unacked"
"""Where Celery keeps what is to be done, and what a worker has taken."""
NAME = "worker"


@dataclass
class Side:
    """One of the two: its worker, how it is given work, and when it has done all that it will do."""

    process: Process
    folder: Path
    send: Callable[[Iterable[int]], None]
    settled: Callable[[], bool]

    def written(self) -> Counter[int]:
        """How often each task ran."""
        return Counter(map(int, self._ledger().split()))

    def lines(self) -> int:
        return self._ledger().count(b"\n")

    def _ledger(self) -> bytes:
        path = self.folder / LEDGER
        return path.read_bytes() if path.exists() else b""


@dataclass
class Ours:
    """What Ringback is asked through."""

    desk: Desk
    ids: list[UUID] = field(default_factory=list)

    def send(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.ids += self.desk.ask(mark, 1, number=number)

    def settled(self) -> bool:
        return len(self.desk.finished(self.ids)) == len(self.ids)


def measure(servers: Servers, folder: Path, tasks: int, kills: int) -> list[Figure]:
    """Both at the same time, on the same two servers."""
    redis_url = servers.keeper_redis_url.rpartition("/")[0]
    with own_database(servers.database_url, "control") as database:
        upgrade(database)
        ours_on = Servers(database, f"{redis_url}/1", servers.processes)
        with open_desk(database, ours_on.redis_url) as desk, ThreadPoolExecutor(2) as threads:
            ours = Ours(desk)
            sides = (
                _ringback(ours_on, _made(folder / "ringback"), ours),
                _plain(f"{redis_url}/2", _made(folder / "plain")),
            )
            running = [threads.submit(_work, side, tasks, kills) for side in sides]
            of_ours, of_plain = (future.result() for future in running)
            outcomes = desk.outcomes(ours.ids)
    what = f"of {tasks} tasks, {kills} kills"
    return [
        *_compared(f"plain Celery, {what}", of_plain, tasks, ("", "")),
        *_compared(f"Ringback, {what}", of_ours, tasks, ("0", "")),
        Counted(f"Ringback, {what}: without exactly one outcome", sum(n != 1 for n in outcomes), tasks, "0"),
    ]


def _compared(what: str, ran: Counter[int], tasks: int, goals: tuple[str, str]) -> list[Figure]:
    never = sum(ran[number] == 0 for number in range(tasks))
    twice = sum(times > 1 for times in ran.values())
    return [
        Counted(f"{what}: never ran", never, tasks, goals[0]),
        Counted(f"{what}: ran more than once", twice, tasks, goals[1]),
    ]


def _work(side: Side, tasks: int, kills: int) -> Counter[int]:
    """Send a share of the tasks, kill the worker in the midst of them, again and again; then let it finish."""
    with supervised() as crew:
        crew.start(side.process)
        for number in range(kills):
            crew.await_up(NAME)
            before, sent = side.lines(), tasks * (number + 1) // kills
            undone = sent - len(side.written())
            side.send(range(tasks * number // kills, sent))
            _kill_amid(crew, side, before + random.randint(1, max(1, undone)))
        crew.await_up(NAME)
        _let_finish(side)
    return side.written()


def _kill_amid(crew: Crew, side: Side, lines: int) -> None:
    give_up = time.monotonic() + NO_MORE_SECONDS
    while side.lines() < lines and time.monotonic() < give_up:
        time.sleep(LOOK_SECONDS)
    crew.kill(NAME)


def _let_finish(side: Side) -> None:
    """Until nothing is left to do and nothing has happened for a while."""
    give_up = time.monotonic() + PATIENCE
    lines, since = side.lines(), time.monotonic()
    while time.monotonic() < give_up:
        time.sleep(LOOK_SECONDS * 100)
        if (now := side.lines()) != lines or not side.settled():
            lines, since = now, time.monotonic()
        elif time.monotonic() - since > SETTLED_SECONDS:
            return


def _ringback(servers: Servers, folder: Path, ours: Ours) -> Side:
    env = {**environment(servers, folder), "RINGBACK_WORKER_CONCURRENCY": str(AT_ONCE)}
    return Side(worker(NAME, env, folder), folder, ours.send, ours.settled)


def _plain(redis_url: str, folder: Path) -> Side:
    argv = [sys.executable, "-m", "celery", "-A", plain.__name__, "worker", "-c", str(AT_ONCE), "-l", "INFO"]
    env = {"REDIS_URL": redis_url, "PYTHONPATH": str(ROOT), FOLDER: str(folder)}
    app, client = plain.make(redis_url), redis.Redis.from_url(redis_url)

    def send(numbers: Iterable[int]) -> None:
        for number in numbers:
            app.send_task("mark", args=[number], ignore_result=True)

    def settled() -> bool:
        return not client.llen(QUEUE) and not client.hlen(UNACKED)

    return Side(Process(NAME, argv, env, folder / "worker.log", ready=WORKER_READY), folder, send, settled)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
