"""The sides of a measured call, each with all its processes: ours, the floors, and the frameworks in one process."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import psycopg
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.calls.callers import TOKEN
from benchmarks.calls.collector import SPANS_OF_A_CALL, collecting
from benchmarks.calls.floor import ledger
from benchmarks.calls.upstream import Batch
from benchmarks.measuring.process_use import server_processes, stack_processes
from benchmarks.measuring.raw_lines import ROOT
from benchmarks.measuring.receipts import insist, insist_on_success, left_of
from benchmarks.peers_side_by_side.drivers.orders import SPEECH
from benchmarks.peers_side_by_side.driving import Driver, running
from benchmarks.peers_side_by_side.sides import KINDS
from cli.local_stack.embedded_servers import embedded_servers
from cli.local_stack.process_group import Process, ProcessGroup, free_port
from cli.local_stack.stack import running_stack

OURS, TRACED, COUNTED, UNCOUNTED = "ringback", "ringback-traced", "ringback-counted", "ringback-uncounted"
CELERY, BARE, IN_PROCESS = "celery", "bare", "in-process"
FLOORS = (CELERY, BARE, IN_PROCESS)
FRAMEWORKS = ("openai-agents", "pipecat-ai", "livekit-agents")
SIDES = (OURS, TRACED, COUNTED, UNCOUNTED, *FLOORS, *FRAMEWORKS)
TITLES = {
    OURS: "ringback",
    TRACED: "ringback, each call traced",
    COUNTED: "ringback, gateway and worker counting for Prometheus",
    UNCOUNTED: "ringback, RINGBACK_METRICS=off",
    CELERY: "floor: Celery, psycopg, two durable commits",
    BARE: "floor: the same by LPUSH and BRPOP",
    IN_PROCESS: "floor: a function in the client's loop",
}
METRICS_TOKEN = "the-token-of-the-scrape"
ENDED = "ringback_calls_ended_total"
AGENT = """
instructions = "Work on what you are asked for."
tools = ["work"]
max_calls_per_minute = 10000
"""


@dataclass(frozen=True)
class Running:
    """A side that runs.

    Args:
        connect: has so many sessions connect to the upstream; what it starts ends with the context that it is given.
        check: raises unless what the batch timed is in the side's rows.
        processes: what is looked at for its processor time, once `connect` has been called.
        helpers: what else must not end before the batch does.
        scraped: where gateway and worker tell their metrics; empty if none was asked for.
        left: tells what the rows say of calls that have not come back; empty if there are no rows.
    """

    connect: Callable[[int, ExitStack], None]
    check: Callable[[Batch], None]
    processes: dict[str, psutil.Process] = field(default_factory=dict)
    helpers: dict[str, psutil.Process] = field(default_factory=dict)
    scraped: tuple[str, ...] = ()
    left: Callable[[Batch], str] = lambda _: ""

    def gone(self) -> list[str]:
        """Return the names of processes that have ended: what they were to do is done by no other."""
        return [name for name, process in {**self.processes, **self.helpers}.items() if not _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def side(name: str, upstream: str, python: Path, folder: Path) -> Iterator[Running]:
    """Run this side while the context lasts."""
    if name == OURS:
        with _ringback(upstream, folder) as running_side:
            yield running_side
    elif name == TRACED:
        with _traced(upstream, folder) as running_side:
            yield running_side
    elif name == COUNTED:
        with _counted(upstream, folder) as running_side:
            yield running_side
    elif name == UNCOUNTED:
        with _ringback(upstream, folder, RINGBACK_METRICS="off") as running_side:
            yield running_side
    elif name in FLOORS:
        with _floor(name, upstream, folder) as running_side:
            yield running_side
    else:
        yield _framework(name, upstream, python, folder)


@contextmanager
def _traced(upstream: str, folder: Path) -> Iterator[Running]:
    """Ours, with each call traced, and told to a collector in this process."""
    with (
        collecting() as collector,
        _ringback(upstream, folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as running_side,
    ):
        called = 0

        def check(batch: Batch) -> None:
            nonlocal called
            running_side.check(batch)
            called += len(batch.call_ids)
            roots, spans = collector.wait_for(called)
            insist("traces that came", roots, called)
            insist("spans of a trace", spans >= called * SPANS_OF_A_CALL, True)

        yield replace(running_side, check=check)


@contextmanager
def _counted(upstream: str, folder: Path) -> Iterator[Running]:
    """Ours, with gateway and worker counting; a scrape of the worker must have counted each call."""
    port = free_port()
    worker = f"http://127.0.0.1:{port}/metrics"
    settings = {"RINGBACK_METRICS_PORT": str(port), "RINGBACK_METRICS_TOKEN": METRICS_TOKEN}
    with _ringback(upstream, folder, **settings) as running_side:
        called = 0

        def check(batch: Batch) -> None:
            nonlocal called
            running_side.check(batch)
            called += len(batch.call_ids)
            insist("calls that the worker's metrics have", _counted_by(worker), called)

        yield replace(running_side, check=check, scraped=(*running_side.scraped, worker))


def _counted_by(worker: str) -> int:
    """Scrape the worker; return how many calls it has counted as succeeded."""
    counted = [sample for family in scrape(worker) for sample in family.samples if sample.name == ENDED]
    return int(sum(sample.value for sample in counted if sample.labels["state"] == "succeeded"))


def scrape(url: str) -> list[Metric]:
    """Return what a process of the side `COUNTED` tells of its metrics."""
    asked = Request(url, headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    with urlopen(asked, timeout=5) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


@contextmanager
def _ringback(upstream: str, folder: Path, **more: str) -> Iterator[Running]:
    (folder / "demo.toml").write_text(AGENT)
    settings = {
        "REALTIME_URL": upstream,
        "RINGBACK_AGENTS": str(folder),
        "RINGBACK_TOOL_MODULES": "benchmarks.peers_side_by_side.tools",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    with running_stack(logs=folder, settings=settings, simulate=False) as stack:
        helpers: dict[str, psutil.Process] = {}

        def connect(sessions: int, around: ExitStack) -> None:
            url = stack.url.replace("http", "ws", 1) + "/v1/realtime"
            words = [sys.executable, "-m", "benchmarks.calls.callers", url, str(sessions)]
            env = {TOKEN: stack.token, "PYTHONPATH": str(ROOT)}
            callers = Process("callers", words, env, folder / "callers.log")
            helpers["callers"] = psutil.Process(around.enter_context(ProcessGroup()).start(callers))

        def check(batch: Batch) -> None:
            insist_on_success(stack.database_url, batch.call_ids)

        def left(batch: Batch) -> str:
            last_words = (folder / "callers.log").read_text().splitlines()[-1:]
            return "; ".join([left_of(stack.database_url, batch.call_ids), *last_words])

        yield Running(connect, check, stack_processes(stack), helpers, (f"{stack.url}/metrics",), left)


@contextmanager
def _floor(way: str, upstream: str, folder: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        env, processes, database_url = {"PYTHONPATH": str(ROOT)}, {}, ""
        if way != IN_PROCESS:
            servers = stack.enter_context(embedded_servers(durable=True))
            database_url = servers.database_url.replace("+psycopg", "")
            with psycopg.connect(database_url) as connection:
                connection.execute(ledger.TABLE)
            env |= {ledger.DATABASE_URL: database_url, ledger.REDIS_URL: servers.keeper_redis_url}
            processes = server_processes()
            group = stack.enter_context(ProcessGroup())
            ready = re.compile(ledger.READY)
            worker = Process("floor's worker", _worker(way), env, folder / f"{way}-worker.log", ready=ready)
            processes["worker"] = psutil.Process(group.start(worker))

        def connect(sessions: int, around: ExitStack) -> None:
            words = [sys.executable, "-m", "benchmarks.calls.floor.gateway", way, upstream, str(sessions)]
            gateway = Process("floor's gateway", words, env, folder / f"{way}-gateway.log")
            processes["gateway"] = psutil.Process(around.enter_context(ProcessGroup()).start(gateway))

        done = 0

        def check(batch: Batch) -> None:
            nonlocal done
            done += len(batch.call_ids)
            if database_url:
                with psycopg.connect(database_url) as connection:
                    insist(f"{way}: finished rows", connection.execute(ledger.COUNT).fetchall(), [(done,)])

        yield Running(connect, check, processes)


def _worker(way: str) -> list[str]:
    if way == BARE:
        return [sys.executable, "-m", "benchmarks.calls.floor.bare_worker"]
    words = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "benchmarks.calls.floor.celery_worker", "worker"]
    return [*words, "-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]


def _framework(name: str, upstream: str, python: Path, folder: Path) -> Running:
    """One process, which holds the connection and runs the function."""
    speech = folder / "speech.pcm"
    speech.touch()
    processes: dict[str, psutil.Process] = {}

    def connect(_: int, around: ExitStack) -> None:
        env = {SPEECH: str(speech)}
        driver = around.enter_context(
            running(Driver(python, KINDS[name].module, (upstream, "default"), env, folder / f"{name}.log"))
        )
        processes["gateway"] = psutil.Process(driver.pid)
        driver.order("connect")
        driver.begin("ask", words="Work on alpha.")

    return Running(connect, lambda _: None, processes)
