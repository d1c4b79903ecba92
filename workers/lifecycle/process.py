"""Life of one worker process, from its settings to its end; `app` has Celery call these methods in turn.

In a pool of threads the one process does everything. In a prefork pool each child that runs jobs has a runtime, with a
row and a lease of its own: so if a child alone is killed, its job is taken back. The parent consumes, and has the
canary; its children learn of its end through the pipe of `StopSignal`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import current_thread, main_thread
from time import sleep
from typing import Any
from uuid import UUID

from celery.worker import state as celery_state
from redis import Redis

from ringback.config import logs
from ringback.config.production import Facts, refuse
from ringback.config.settings import load
from ringback.postgres.statement import compile_of
from ringback.redis import check
from ringback.statements.jobs import finishing, transitions
from ringback.telemetry.tracing import open_tracing
from ringback.tools.decorator import Tool
from workers.execution.runtime import WorkerRuntime
from workers.leases.lease import FENCED_EXIT
from workers.leases.sweeper import Publisher
from workers.lifecycle.canary import Canary
from workers.lifecycle.metrics_endpoint import endpoint
from workers.lifecycle.shutdown import LOOK_SECONDS, Shutdown, end_on_thread_death
from workers.lifecycle.stop_signal import StopSignal
from workers.settings import WorkerSettings
from workers.storage.database import refuse_encoding_of
from workers.tool_registry import load_tools, queues_of, refuse_without_key

READY_SECONDS = 5.0
"""How long the first message waits for Postgres, so that a worker that says it is ready has announced its tools."""
QUEUES = "RINGBACK_WORKER_QUEUES"
END_SECONDS = 8.0
"""How long after its drain a parent kills a worker that hangs: 2 s before compose kills the parent."""
SWITCH_SECONDS = 0.002
"""How long a tool that computes keeps the interpreter when another thread asks for it. Python's default of 5 ms, times
the tools that compute, made a renewal 4.5 s late; less than 2 ms costs the tools more than a tenth
(docs/decisions/0032).
"""
STOP_SIGNALS = {signal.SIGTERM: 1, signal.SIGINT: 1, signal.SIGQUIT: 2}
"""What each signal counts for: once is a request, twice an order."""

logger = logging.getLogger(__name__)


def read_settings_and_tools() -> tuple[WorkerSettings, dict[str, Tool]]:
    """Read the settings, check the servers, and import the tools.

    Raises:
        ConfigurationError: a setting is missing or wrong; no work has begun.
    """
    settings = load(WorkerSettings)
    if settings.mode == "production":
        is_open = check.is_open(settings.redis_url, Redis.from_url)
        refuse(settings.mode, Facts(settings.database_url, settings.redis_url, is_open))
    check.refuse_a_cluster(settings.redis_url, Redis.from_url)
    refuse_encoding_of(settings.database_url)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # a user's tools lie where the worker is started, as with `python -m`
    tools = load_tools(settings.tool_modules, settings.tool_files)
    row_privacy = settings.row_privacy
    refuse_without_key(tools.values(), row_privacy)
    logs.leave_out(row_privacy.redaction.kinds)
    return settings, tools


class WorkerProcess:
    """Settings and tools of this process, and a runtime if jobs run here."""

    _stop_signal: StopSignal

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._prepared: tuple[WorkerSettings, dict[str, Tool]] | None = None
        self._queues: Sequence[str] = ()
        self._runtime: WorkerRuntime | None = None
        self._shutdown: Shutdown | None = None
        self._is_child = False
        self.is_spent = False
        """True of a child that ends before its next call: its pool starts another one."""
        self.canary = Canary(self._end_process)

    def prepare(self) -> tuple[WorkerSettings, list[str]]:
        """Read the settings and import the tools; return the settings and the queues to serve.

        Raises:
            ConfigurationError: a setting is missing or wrong; no work has begun.
        """
        settings, tools = read_settings_and_tools()
        compile_of(transitions, finishing)  # for every child of a pool that forks; the first call would wait for it
        self._prepared = settings, tools
        self._stop_signal = StopSignal()
        end_on_thread_death(self._end_process)
        self.consume(settings.queues or queues_of(tools.values()))
        return settings, list(self._queues)

    def consume(self, queues: Sequence[str]) -> None:
        """Set the queues that are consumed. Children of a pool that does not fork read them from the environment."""
        self._queues = queues
        os.environ[QUEUES] = ",".join(queues)

    def open_metrics(self, *, shared: bool) -> None:
        """Bind the port for metrics, before the pool forks. `shared`: jobs run in children.

        Raises:
            ConfigurationError: the port cannot be bound.
        """
        endpoint.open(self._ready()[0], shared=shared)

    def begin(self, *, runs_jobs: bool, is_busy: Callable[[], bool], slots: int = 1) -> None:
        """Begin to work; if jobs run in this process, register and be ready for them.

        Args:
            is_busy: whether the pool has work, for a process that runs no jobs itself.
            slots: how many calls run at once in this process, if any do.
        """
        _, tools = self._ready()
        for queue in sorted(set(self._queues) - set(queues_of(tools.values()))):
            logger.warning("queue without a tool: %s; is the name right?", queue)
        self._listen_to_signals()
        endpoint.start()
        if runs_jobs:
            self.open_runtime(slots)
            self.runtime().lease.wait(READY_SECONDS)
        else:
            wait = self._wait_for_children
            self._prepare_shutdown(lambda: is_busy() and not self._stop_signal.children_are_gone(), wait, wait)

    def open_runtime(self, slots: int = 1, **_: Any) -> None:
        """Open the runtime in a child of a pool, for one call at a time. A solo pool calls this in its only process."""
        if self._runtime is not None:
            return
        settings, tools = self._ready()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._is_child = self._stop_signal.adopt()
        replace = self._mark_spent if self._is_child else None
        spans = open_tracing("ringback-worker", runs_tools=True, tells_pii=settings.trace_pii == "yes")
        publisher, ended = self._publisher, self._end_process
        runtime = WorkerRuntime(settings, tools, self._queues, publisher, slots, ended, replace, spans)
        self._runtime = runtime
        runtime.start()
        self._prepare_shutdown(lambda: len(runtime.running) > 0, runtime.hand_back, runtime.sign_off)

    def runtime(self) -> WorkerRuntime:
        """Return the runtime that runs jobs here; in a child, called in its main thread."""
        if self._runtime is None:
            raise RuntimeError("this process was not begun as one that runs jobs")
        if self._is_child:  # only now: the pool sets its own handler, which exits, once the runtime is open
            signal.signal(signal.SIGTERM, self._stop_child)
            self._is_child = False
        return self._runtime

    def trace_of(self, job_id: UUID) -> dict[str, str] | None:
        """Return the headers by which a job's message continues its trace; None where traces are off."""
        spans = self._runtime.spans if self._runtime else None
        return None if spans is None else spans.headers(job_id)

    def suspect_messages(self) -> None:
        """Have jobs published again: the consumer's connection broke, which may have lost messages."""
        if self._runtime:
            self._runtime.suspect_messages()

    def sheds(self) -> bool:
        """Return true while this process should take no messages, because its calls hold it up."""
        return self._runtime is not None and self._runtime.lease.sheds

    def drain(self, code: int = 0) -> None:
        """Begin the end within seconds: Celery shuts down, for any reason."""
        self.canary.stop()
        if self._shutdown and not self._stop_signal.count:
            self._shutdown.code = code
            self._stop_signal.request()

    def end(self, **_: Any) -> None:
        """Sign off; calls have ended."""
        if self._runtime:
            self._runtime.stop()

    def _ready(self) -> tuple[WorkerSettings, dict[str, Tool]]:
        if self._prepared is None:  # a child that was not forked has read no settings yet
            self.prepare()
        assert self._prepared  # noqa: S101 (for the type checker: `prepare` sets it or raises)
        return self._prepared

    def _prepare_shutdown(
        self, is_busy: Callable[[], bool], hand_back: Callable[[], None], sign_off: Callable[[], None]
    ) -> None:
        seconds = self._ready()[0].drain_seconds
        self._shutdown = Shutdown(self._stop_signal, seconds, is_busy, hand_back, sign_off)
        self._shutdown.start()

    def _listen_to_signals(self) -> None:
        """Count signals, and let Celery begin its warm shutdown at the first. A second one would not help Celery.

        Celery's own handler of SIGTERM kills what runs where the environment has REMAP_SIGTERM, as on some platforms.
        """
        if current_thread() is not main_thread():
            return

        def stop(number: int, _frame: Any) -> None:
            for _ in range(STOP_SIGNALS[signal.Signals(number)]):
                self._stop_signal.request()
            celery_state.should_stop = 0  # the exit code

        for number in STOP_SIGNALS:
            signal.signal(number, stop)

    def _stop_child(self, *_: Any) -> None:
        if self.is_spent:  # it has signed off, and its parent wants its place
            os._exit(0)
        self._stop_signal.request()

    def _wait_for_children(self) -> None:
        """Wait for the children, which hand back and sign off themselves, and would be killed with their parent."""
        while not self._stop_signal.children_are_gone():
            sleep(LOOK_SECONDS)

    def _mark_spent(self, reason: str) -> None:
        """Mark this child of a prefork pool as spent, between two calls."""
        logger.warning("child replaced: %s; it ends, and the pool starts another", reason)
        self.is_spent = True

    def _end_process(self, reason: str) -> None:
        """End this process, for a supervisor to restart: others take back its calls. If it already stops, do
        nothing.
        """
        if self._stop_signal.count:
            return
        logger.error("worker ending: %s; handing back its calls", reason)
        if not self._shutdown:
            os._exit(FENCED_EXIT)
        self._shutdown.code = FENCED_EXIT
        for _ in range(2):
            self._stop_signal.request()
