"""Celery app: `celery -A workers.app worker -Q default,slow`, or `ringback worker`, which starts the same.

Celery carries ids and keeps the pool of threads (or processes). Its one task takes only the id from a message.
Importing this module needs no setting, so that `celery --help` always works. If a setting is missing, a worker names it
and exits with code 2.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, Literal
from uuid import UUID

from celery import Celery, bootsteps, concurrency, signals
from celery.worker import state
from celery.worker.components import Pool

from ringback.config import logs as ringback_logs
from ringback.config.settings import load
from ringback.errors import ConfigurationError
from ringback.redis.broker import TASK, WORKER_SOCKET_TIMEOUT, WORKER_THREADS, ignored, make_app
from workers import logs
from workers.broker import celery_hooks
from workers.broker.consumer import Consumer, Intake, canary_queue
from workers.execution.runner import UNTRACED, run_job
from workers.execution.waiting import Steps, run_to_end
from workers.lifecycle.process import WorkerProcess
from workers.settings import WorkerSettings

USAGE_EXIT = 2
"""Exit code of every Ringback command that was given a value that cannot work."""
PREFORK = "workers.prefork:TaskPool"
"""Celery's pool of that name, with children that are replaced."""
THREADS = "workers.thread_pool:TaskPool"
"""The same for the pool of threads, in which a call that waits holds no thread."""
NO_BROKER = "redis://"
"""Placeholder without a setting; a worker that lacks the setting ends before it connects."""

PoolName = Literal["threads", "prefork", "solo"]

logger = logging.getLogger(__name__)


def make() -> Celery:
    """Return the app, configured by those settings that are valid."""
    settings = None
    with suppress(ConfigurationError):
        settings = load(WorkerSettings)
    celery = make_app(settings.redis_url if settings else NO_BROKER, socket_timeout=WORKER_SOCKET_TIMEOUT)
    concurrency.ALIASES["threads"] = THREADS
    # A message is fetched when a thread is free for it, and not before: an idle worker should have it instead.
    celery.conf.worker_disable_prefetch = True
    celery.conf.broker_transport = "workers.broker.transport:Transport"
    forks = asks_for_prefork(sys.argv)
    if forks:
        celery.conf.worker_pool = PREFORK
    celery.conf.worker_concurrency = calls_at_once("prefork" if forks else "threads", settings)
    celery.conf.worker_consumer = "workers.broker.consumer:Consumer"
    celery.steps["worker"].add(Duties)
    celery.steps["consumer"].add(Intake)
    return celery


def asks_for_prefork(argv: Sequence[str]) -> bool:
    """Return true if the command line asks for the prefork pool.

    Celery takes `-P prefork` for its default, and lets the configured pool win over the command line.
    """
    said = " ".join(argv).replace("--pool", "-P").replace("-P=", "-P ").replace("-P ", "-P")
    return "-Pprefork" in said.split() or "-Pprocesses" in said.split()


def calls_at_once(pool: str, settings: WorkerSettings | None) -> int:
    """Return how many threads or processes a pool has, unless the command line says."""
    if settings and settings.concurrency:
        return settings.concurrency
    return (os.cpu_count() or 1) if pool == "prefork" else WORKER_THREADS


def job_id_in(arguments: Sequence[object]) -> UUID | None:
    """Return the id in a message, or None: any client of Redis can put anything there."""
    try:
        return UUID(str(arguments[0]))
    except (IndexError, ValueError):
        return None


def take(*arguments: object, **_ignored: object) -> None:
    """Run the job whose id came, as a task of Celery, in a pool that is not ours. Never raises, as Celery would log
    what the message held.
    """
    job_id = job_id_in(arguments)
    if job_id is None:
        logger.warning("message dropped: it holds no job id")
        return
    headers = vars(app.current_worker_task.request) if app.current_worker_task else UNTRACED
    copy_context().run(run_to_end, steps_of(job_id, headers))


def steps_of(job_id: UUID, headers: Mapping[str, object]) -> Steps[None]:
    """Return the steps of the job, whose message has these headers. They never raise."""
    ringback_logs.bind(job=job_id)
    try:
        yield from run_job(process.runtime(), job_id, headers)
    except GeneratorExit:
        raise
    except BaseException as problem:
        logger.exception("run failed (job %s) by a fault of this worker; its lease or deadline ends it", job_id)
        if not isinstance(problem, Exception):
            raise


class Duties(bootsteps.StartStopStep):  # type: ignore[misc]
    """Celery step of all that a worker does besides consuming. Starts after the pool, which may fork, and before the
    first message.
    """

    requires = (Pool,)

    def start(self, parent: Any) -> None:
        """Start the worker's own threads, and its runtime if jobs run in this process."""
        for difference in celery_hooks.changed():
            logger.error("Celery differs from the version that Ringback was tested with: %s", difference)
        runs_jobs = not _is_prefork(parent)
        slots = int(parent.concurrency)
        process.begin(runs_jobs=runs_jobs, is_busy=lambda: len(state.reserved_requests) > 0, slots=slots)
        process.canary.start(parent.app.conf["broker_url"], lambda: parent.consumer.is_free())

    def close(self, parent: Any) -> None:
        """Begin the drain: Celery shuts down, after a signal or a fault."""
        process.drain(parent.exitcode or 0)


def run(
    queues: Sequence[str] | None = None,
    concurrency: int | None = None,
    pool: PoolName = "threads",
    log_level: str = "INFO",
) -> int:
    """Run a worker until a signal stops it, as `ringback worker` does.

    Args:
        queues: Celery queues to serve; None: RINGBACK_WORKER_QUEUES, or else all that the tools name.
        concurrency: calls at once; None: RINGBACK_WORKER_CONCURRENCY, or else what fits the pool.
        pool: "threads" for tools that wait; "prefork" for tools that compute, or that may hang.
        log_level: a name of `logging`, such as "INFO".

    Returns:
        The exit code: 0 after a signal, 2 if the settings cannot work (the sentence is on standard error).
    """
    try:
        settings = load(WorkerSettings)
    except ConfigurationError as problem:
        sys.stderr.write(f"ringback: {problem}\n")
        return USAGE_EXIT
    worker = app.Worker(
        queues=list(queues) if queues else None,
        concurrency=concurrency or calls_at_once(pool, settings),
        pool_cls=PREFORK if pool == "prefork" else pool,
        loglevel=logging.getLevelName(log_level.upper()),
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _prepare(instance: Any, conf: Any, **_: Any) -> None:
    """Read settings and tools before anything else; if they are invalid, print one sentence and exit."""
    with _named_problem():
        settings, queues = process.prepare()
    if said := ignored(os.environ):
        logger.warning("%s", said)
    instance.quiet = True
    conf.broker_url = publisher.conf.broker_url = settings.redis_url
    conf.task_queues = {name: {} for name in queues}


@contextmanager
def _named_problem() -> Iterator[None]:
    """If a setting cannot work, print the sentence about it and exit."""
    try:
        yield
    except ConfigurationError as problem:
        sys.stderr.write(f"ringback: {problem}\n")
        raise SystemExit(USAGE_EXIT) from None


def _is_prefork(worker: Any) -> bool:
    pool = worker.pool_cls  # a name, until Celery has imported it
    return "prefork" in (pool if isinstance(pool, str) else pool.__module__)


def _leave_out(sender: Any, **_: Any) -> None:
    """Turn off gossip, mingling and heartbeats, which tell other workers of this one: the row does that here."""
    sender.options.update(without_gossip=True, without_mingle=True, without_heartbeat=True)
    with _named_problem():
        process.open_metrics(shared=_is_prefork(sender))
    process.consume(list(sender.app.amqp.queues.consume_from))
    sender.app.amqp.queues.select_add(canary_queue(process.canary.queue))


def _log(loglevel: int, **_: Any) -> None:
    logs.configure(loglevel)


def _publish(job_id: UUID, queue: str) -> None:
    headers = process.trace_of(job_id)
    publisher.send_task(TASK, args=[str(job_id)], queue=queue, headers=headers, ignore_result=True, retry=False)


app: Celery = make()
publisher: Celery = make_app(NO_BROKER)
"""Publishes with short time-outs, where the consumer waits long for a message."""
process = WorkerProcess(_publish)
app.task(name=TASK, ignore_result=True)(take)
Consumer.on_canary = process.canary.received
Consumer.on_job = steps_of
Consumer.on_cut = process.suspect_messages
Consumer.sheds = process.sheds

signals.setup_logging.connect(_log)
signals.celeryd_init.connect(_prepare)
signals.worker_init.connect(_leave_out)
signals.worker_process_init.connect(process.open_runtime)
signals.worker_process_shutdown.connect(process.end)
signals.worker_shutdown.connect(process.end)
