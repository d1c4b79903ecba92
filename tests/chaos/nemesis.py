"""Carries out the schedule: each fault at its time, in a thread or in the loop, logged and counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import psutil
import psycopg
import redis

from ringback.redis.broker import TASK, make_app
from tests.chaos.client import VirtualClient
from tests.chaos.crew import Crew
from tests.chaos.faults import AT_ONCE, Fault
from tests.servers import in_dialect

RECENT = "SELECT id, queue FROM jobs ORDER BY created_at DESC LIMIT 60"
"""Jobs whose messages come once more, whatever has become of them."""
KICK = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
BACKENDS = "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE 'ringback%' ORDER BY pid"
SERVERS = {"redis": "valkey", "postgres": "postgres"}
QUEUES = ("quick", "slow")


@dataclass
class Nemesis:
    """What goes wrong in a run, from its first fault to its last."""

    crew: Crew
    clients: Sequence[VirtualClient]
    seed: int
    say: Callable[[str], None]
    counted: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    """Faults that could not be carried out: a run with many proves less than it says."""

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._threads = ThreadPoolExecutor(4 * AT_ONCE, thread_name_prefix="nemesis")

    async def run(self, faults: Sequence[Fault]) -> None:
        """Every fault at its time; returns when all of them are over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as under_way:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
                self.counted[fault.kind] += 1
                self.say(f"fault {fault.number}: {fault}")
                under_way.create_task(self._carry_out(fault))

    async def _carry_out(self, fault: Fault) -> None:
        if fault.kind in ("lose clients", "resume twice"):
            self._lose_clients(fault)
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._do, fault)
        except (psycopg.Error, redis.RedisError, OSError) as problem:  # its target is away already
            self.failed.append(f"{fault}: {type(problem).__name__}")

    def _lose_clients(self, fault: Fault) -> None:
        twice = fault.kind == "resume twice"
        for client in self.clients:
            if self._chance.random() < fault.args["share"] / (2 if twice else 1):
                client.hang_up(twice=twice)

    def _do(self, fault: Fault) -> None:
        crew, args, seconds = self.crew, fault.args, fault.seconds
        what, _, whom = fault.kind.partition(" ")
        match what, whom:
            case "kill", _:
                crew.kill(args["name"])
            case "pause" | "blip", _:
                crew.pause(args["name"], seconds)
            case "end", _:
                crew.ask_to_end(args["name"])
            case "restart", _:
                crew.restart_server(SERVERS[whom], seconds)
            case "drop" | "expire", "upstream":
                crew.command_upstream("drop", **args)
            case "refuse" | "hang", "upstream":
                crew.command_upstream(what, seconds=seconds, **args)
            case _:
                self._trouble(fault)

    def _trouble(self, fault: Fault) -> None:
        """What befalls the two servers, and what stands in them."""
        do: dict[str, Callable[[], object]] = {
            "freeze redis": lambda: self.crew.freeze_redis(fault.seconds),
            "freeze postgres": lambda: self.crew.freeze_postgres(fault.seconds),
            "flush redis": self._flush_redis,
            "kick redis clients": self._kick_redis_clients,
            "kick postgres clients": lambda: self._execute(KICK),
            "kick one redis client": self._kick_one_redis_client,
            "kick one postgres client": self._kick_one_postgres_client,
            "freeze one postgres client": lambda: self._freeze_one_postgres_client(fault.seconds),
            "lock the jobs": lambda: self._execute(f"LOCK TABLE jobs; SELECT pg_sleep({fault.seconds:.1f})"),
            "repeat messages": self._repeat_messages,
            "forge messages": self._forge_messages,
        }
        do[fault.kind]()

    def _flush_redis(self) -> None:
        with self.crew.redis() as server:
            server.flushall()

    def _kick_redis_clients(self) -> None:
        with self.crew.redis() as server, suppress(redis.ConnectionError):
            server.client_kill_filter(_type="normal", skipme=True)

    def _kick_one_redis_client(self) -> None:
        with self.crew.redis() as server:
            others = [each["id"] for each in server.client_list() if int(each["id"]) != server.client_id()]
            if others:
                server.client_kill_filter(_id=self._chance.choice(others))

    def _kick_one_postgres_client(self) -> None:
        if (backend := self._any_backend()) is not None:
            self._execute(f"SELECT pg_terminate_backend({backend}), ''")

    def _freeze_one_postgres_client(self, seconds: float) -> None:
        """The server's side of one connection stands still: it takes what it is sent, and answers nothing."""
        backend = self._any_backend()
        with suppress(psutil.NoSuchProcess):
            if backend is not None:
                self.crew.freeze(psutil.Process(backend), seconds)

    def _any_backend(self) -> int | None:
        backends = [int(str(pid)) for pid, _ in self._execute(BACKENDS)]
        return self._chance.choice(backends) if backends else None

    def _repeat_messages(self) -> None:
        self._publish([(str(job), queue) for job, queue in self._execute(RECENT) if queue])

    def _forge_messages(self) -> None:
        unknown = [(str(uuid4()), queue) for queue in QUEUES]
        self._publish(unknown + [(word, queue) for word in ("", "no id at all", "../../x") for queue in QUEUES])

    def _execute(self, statements: str) -> list[tuple[object, str]]:
        """All of it in one transaction; the rows of the last statement."""
        url = in_dialect(self.crew.servers.database_url, "postgresql")
        with psycopg.connect(url, connect_timeout=2, options="-c lock_timeout=2s") as connection:
            cursor = connection.execute(statements.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall()

    def _publish(self, messages: Sequence[tuple[str, str]]) -> None:
        app = make_app(self.crew.servers.redis_url)
        try:
            for job, queue in messages:
                app.send_task(TASK, args=[job], queue=queue, ignore_result=True, retry=False)
        except Exception as problem:  # kombu's errors have no common parent
            raise ConnectionError(type(problem).__name__) from problem
        finally:
            app.close()
