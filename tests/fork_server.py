"""`python -m tests.fork_server FD`: holds our modules in memory, and forks a process for whoever asks at that socket.

A process of ours spends two seconds of CPU on importing what never changes. One that is forked here is a process like
any other: with a pid, an environment, a session, files and an end of its own. `tests/forked.py` asks.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from typing import Any, NamedTuple

from cli.main import imported_without_collection

PRELOADED = (
    "alembic.command",
    "celery.__main__",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.receiver",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "cli.jobs",
    "cli.main",
    "cli.local_stack.up",
    "cli.supervisor",
    "encodings.idna",
    "gateway.app",
    "gateway.auth.jwt",
    "gateway.auth.key_sets",
    "gateway.production_checks",
    "gateway.server.picows_socket",
    "gateway.server.run",
    "html.parser",
    "kombu.pidbox",
    "kombu.transport.memory",
    "kombu.transport.redis",
    "mcp",
    "ringback.postgres.migrate",
    "simulator.__main__",
    "sqlalchemy.dialects.postgresql.psycopg",
    "typer._adapters",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "workers.broker.consumer",
    "workers.execution.runner",
    "workers.remote_tools.openapi.api",
    "workers.remote_tools.loader",
    "workers.prefork",
    "workers.lifecycle.process",
)
"""Nothing that reads a setting, opens a file or starts a thread as it is imported: `workers.app` does."""
MOST_BYTES = 1 << 20
MOST_FILES = 4


class Job(NamedTuple):
    """What is to be run: the words behind `python`, where, and with which environment."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    leads_session: bool


def main() -> None:
    """Fork for whoever asks, until the asker is gone; returns in each child, with what it has to do."""
    preload()
    if job := serve(int(sys.argv[1])):
        become(job)


def preload() -> None:
    with imported_without_collection():
        for name in PRELOADED:
            importlib.import_module(name)


def serve(number: int) -> Job | None:
    """None once the asker at this socket is gone; in a forked child what it has to do."""
    door = socket.socket(fileno=number)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # or no death would wake us
    bell, rung = os.pipe()
    os.set_blocking(rung, False)
    signal.set_wakeup_fd(rung, warn_on_full_buffer=False)
    told: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([number, bell], [], [])
        if bell in ready:
            os.read(bell, MOST_BYTES)
            _tell_ends(told)
        if number not in ready:
            continue
        asked, files, _, _ = socket.recv_fds(door, MOST_BYTES, MOST_FILES)
        if not asked:
            return None
        job = Job(*json.loads(asked))
        *standard, news = files
        if pid := os.fork():
            told[pid] = news
            for file in standard:
                os.close(file)
        else:
            door.detach()
            _take_over(job, standard, news)
            return job


def _tell_ends(told: dict[int, int]) -> None:
    """To each asker, how what was forked for it has ended."""
    for pid in list(told):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            news = told.pop(pid)
            with suppress(BrokenPipeError):
                os.write(news, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(news)


def _take_over(job: Job, standard: list[int], news: int) -> None:
    """In the child: let go of what is the server's, and be what was asked for; then say so."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if job.leads_session:
        os.setsid()
    for number, file in enumerate(standard):
        os.dup2(file, number)
    os.write(news, f"{os.getpid()}\n".encode())
    os.closerange(len(standard), os.sysconf("SC_OPEN_MAX"))


def become(job: Job) -> Any:
    """Run it as `python` itself would: `-m module`, or `-c code`, behind `-W ignore` or not."""
    os.environ.clear()
    os.environ.update(job.env)
    time.tzset()
    os.chdir(job.cwd)
    added = [place for place in job.env.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:1] = [job.cwd, *(place for place in added if place not in sys.path)]
    said, words = (job.argv[1], job.argv[2:]) if job.argv[0] == "-W" else (job.env.get("PYTHONWARNINGS"), job.argv)
    if said:
        warnings.simplefilter(said)  # type: ignore[arg-type]
    how, what, *rest = words
    sys.argv = [what if how == "-m" else how, *rest]
    if how == "-m":
        return runpy.run_module(what, run_name="__main__", alter_sys=True)
    return exec(what, {"__name__": "__main__"})  # noqa: S102 - the code of a test


if __name__ == "__main__":
    main()
