"""A line whose orders begin when they are asked for, and end when the test says so."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg

from tests.caller import Caller, Event
from tests.guarantees.toolbox import FOLDER, GO
from tests.line import GATEWAYS, Line, eventually, running_line
from tests.proxy import Proxy, before_postgres, before_redis
from tests.servers import in_dialect

HERE = Path(__file__).parent
FIRST, SECOND = GATEWAYS
BEFORE_EXPIRY_SECONDS = 2
SETTINGS = {
    "RINGBACK_DRAIN_SECONDS": "5",
    "RINGBACK_WORKER_DRAIN_SECONDS": "2",
    "RINGBACK_CALL_WAIT_SECONDS": "2",
    "RINGBACK_ROTATE_BEFORE_SECONDS": str(BEFORE_EXPIRY_SECONDS),
}
_numbers = itertools.count(100)
WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)) AND query LIKE '%is_echoed%'
"""
"""Records of a delivery (`deliveries.mark`) that wait, and no other statement about the session."""


@dataclass(frozen=True)
class Bakery:
    """Orders have names, such as "A-101": what is about one of them is found by it."""

    line: Line
    folder: Path

    def begun(self, attempt: int = 1, name: str = "*") -> None:
        """Wait until an order is being worked on for the n-th time."""
        what = f"attempt {attempt} of order {name} begins"
        eventually(lambda: list(self.folder.glob(f"{attempt}-{name}-*")), what)

    def all_begun(self, names: Iterable[str]) -> None:
        """Wait until each of these is being worked on."""
        for name in names:
            self.begun(1, name)

    def attempts(self, name: str = "*") -> int:
        """How often it, or any order, was begun."""
        return len(list(self.folder.glob(f"[0-9]*-{name}-*")))

    def let_go(self, *names: str) -> None:
        """These orders, or all of them, may end."""
        for name in names or ("",):
            (self.folder / f"{GO}{name}").touch()

    def tidy(self) -> None:
        for left in self.folder.iterdir():
            left.unlink()


def order() -> str:
    """The name of an order that nobody has asked for."""
    return f"A-{next(_numbers)}"


def baked(name: str) -> str:
    """What is said of an order that is done."""
    return f"Your order {name} is baked."


@dataclass(frozen=True)
class Pair(Bakery):
    """Two gateways and a worker behind proxies; what a test breaks is mended before the next."""

    postgres: Proxy
    redis: Proxy

    def mend(self) -> None:
        self.postgres.heal()
        self.redis.heal()
        self.line.simulator.calm()
        self.line.make_whole()
        self.tidy()

    def signal(self, name: str, which: signal.Signals) -> None:
        os.kill(self.line.pids[name], which)

    async def ask(self, caller: Caller, name: str) -> str:
        """Ask for an order; returns the call's id once its job is recorded."""
        await caller.ask(f"Where is my order {name}?")
        told = await caller.hear_job("pending")
        return str(told["job"]["call_id"])

    def delivery(self, call_id: str) -> str:
        """How far the answer of a call is, as its row says."""
        return str(self._row("SELECT delivery FROM jobs WHERE call_id = %s", call_id)[0])

    def is_finished(self, call_id: str) -> bool:
        return bool(self._row("SELECT finished_at IS NOT NULL FROM jobs WHERE call_id = %s", call_id)[0])

    def is_kept(self, words: str) -> bool:
        """Whether the log of some session has this said by the model: the moment before, a kill makes it unsaid."""
        query = "SELECT count(*) > 0 FROM items WHERE role = 'assistant' AND strpos(content::text, %s) > 0"
        return bool(self._row(query, words)[0])

    @contextmanager
    def marks_held(self, call_id: str) -> Iterator[Callable[[str], bool]]:
        """Have every record of a delivery in this call's session wait; results are read and written all the same.

        Yields a function that pauses a gateway whose record waits, and cuts off its connection. It returns False if
        none waits yet.
        """
        lock = "SELECT 1 FROM sessions WHERE id = (SELECT session_id FROM jobs WHERE call_id = %s) FOR UPDATE"
        with psycopg.connect(in_dialect(self.line.database, "postgresql")) as connection:
            connection.execute(lock, (call_id,))

            def drop_those_that_wait(gateway: str) -> bool:
                connection.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees who is active once
                waiting = [pid for (pid,) in connection.execute(WAITING).fetchall()]
                if waiting:
                    self.line.processes.pause(gateway)
                    connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (waiting,))
                return bool(waiting)

            yield drop_those_that_wait

    def finish(self, name: str, call_id: str) -> None:
        """Let an order end, and wait until its outcome is in its row."""
        self.let_go(name)
        eventually(lambda: self.is_finished(call_id), f"order {name} to be done")

    def _row(self, query: str, value: object) -> tuple[object, ...]:
        with psycopg.connect(in_dialect(self.line.database, "postgresql")) as connection:
            row = connection.execute(query.encode(), (value,)).fetchone()
        assert row is not None
        return row

    def session_state(self, session_id: str) -> str:
        return str(self._row("SELECT state FROM sessions WHERE id = %s", UUID(session_id))[0])

    def outputs(self, call_id: str) -> list[tuple[int, Event]]:
        """Each time that any upstream conversation was given this call's result: the conversation, and the item."""
        simulator = self.line.simulator
        numbers = simulator.about(call_id)
        return [
            (number, item) for number in numbers for item in simulator.outputs(number) if item["call_id"] == call_id
        ]


def given_once_each(pair: Pair, call_ids: Iterable[str]) -> None:
    """No conversation was given a result twice, none was refused, and the newest has it."""
    for call_id in call_ids:
        numbers = [number for number, _ in pair.outputs(call_id)]
        assert len(numbers) == len(set(numbers)), f"{call_id} was given twice to one conversation: {numbers}"
        assert numbers[-1] == pair.line.simulator.about(call_id)[-1], "the conversation that lives has it"
        for number in pair.line.simulator.about(call_id):
            assert refusals(pair, number) == []


def refusals(pair: Pair, number: int) -> list[str]:
    """Codes of the errors that a conversation was answered, but for its end."""
    return [error["code"] for error in pair.line.simulator.refusals(number) if error["code"] != "session_expired"]


def heard_times(callers: Iterable[Caller], words: str) -> int:
    """In how many responses these callers heard the words."""
    done = [event for caller in callers for event in caller.heard if event["type"] == "response.done"]
    return sum(words in json.dumps(event["response"]["output"]) for event in done)


@contextmanager
def open_pair(
    database: str, redis: str, logs: Path, *, scenario: Path = HERE / "bakery.yaml", **settings: str
) -> Iterator[Pair]:
    """Start everything; takes a few seconds."""
    folder = logs / "orders"
    folder.mkdir()
    with before_postgres(database) as (postgres, to_postgres), before_redis(redis) as (before, to_redis):
        env = {**SETTINGS, **settings, FOLDER: str(folder), "DATABASE_URL": to_postgres, "REDIS_URL": to_redis}
        with running_line(
            database,
            redis,
            logs,
            tools="tests.guarantees.toolbox",
            settings=env,
            gateways=2,
            scenario=str(scenario),
        ) as line:
            yield Pair(line, folder, postgres, before)
