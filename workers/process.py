"""The life of one worker process, from its settings to its end; `app` has Celery call these in turn.

In a pool of threads the one process does everything. In a prefork pool each child that runs jobs has a station, with
a row and a lease of its own: so a child that is killed alone has its job taken back.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ringback.settings import load
from ringback.tools import Tool
from workers.lease import FENCED_EXIT
from workers.registry import load_tools, queues_of
from workers.settings import WorkerSettings
from workers.station import Station
from workers.sweeper import Publisher

READY_SECONDS = 5.0
"""How long the first message waits for Postgres, so that a worker that says it is ready has announced its tools."""
QUEUES = "RINGBACK_WORKER_QUEUES"

logger = logging.getLogger(__name__)


class WorkerProcess:
    """What this process has: settings and tools, and a station where jobs run."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._prepared: tuple[WorkerSettings, dict[str, Tool]] | None = None
        self._queues: Sequence[str] = ()
        self._station: Station | None = None
        self._draining = Event()

    def prepare(self) -> tuple[WorkerSettings, list[str]]:
        """Read the settings and import the tools; return the settings and the queues to serve.

        Raises:
            ConfigurationError: something is missing or wrong; nothing has begun.
        """
        settings = load(WorkerSettings)
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)  # a user's tools lie where the worker is started, as with `python -m`
        tools = load_tools(settings.tool_modules)
        self._prepared = settings, tools
        self.consume(settings.queues or queues_of(tools.values()))
        return settings, list(self._queues)

    def consume(self, queues: Sequence[str]) -> None:
        """These are the queues, after all. Children of a pool that does not fork read them where we do."""
        self._queues = queues
        os.environ[QUEUES] = ",".join(queues)

    def begin(self, *, runs_jobs: bool) -> None:
        """Begin to work; and where jobs run in this process, register and be ready for them."""
        settings, tools = self._ready()
        for queue in sorted(set(self._queues) - set(queues_of(tools.values()))):
            logger.warning("no tool here has its jobs on the queue %s: is the name right?", queue)
        Thread(target=self._end_late, args=(settings.drain_seconds,), name="drain", daemon=True).start()
        if runs_jobs:
            self.open_station()
            self.station().lease.wait(READY_SECONDS)

    def open_station(self, **_: Any) -> None:
        """In a process that a pool has made; a solo pool says so of the only one."""
        if self._station is None:
            settings, tools = self._ready()
            self._station = Station(settings, tools, self._queues, self._publisher)
            self._station.start()

    def station(self) -> Station:
        """What runs jobs here."""
        if self._station is None:
            raise RuntimeError("this process was not begun as one that runs jobs")
        return self._station

    def drain(self, **_: Any) -> None:
        """The end was asked for: from now on it is a matter of seconds. Called in a signal handler."""
        self._draining.set()

    def end(self, **_: Any) -> None:
        """Sign off; calls have ended."""
        if self._station:
            self._station.stop()

    def _ready(self) -> tuple[WorkerSettings, dict[str, Tool]]:
        if self._prepared is None:  # a child that was not forked has read nothing yet
            self.prepare()
        assert self._prepared  # noqa: S101 (for the type checker: `prepare` sets it or raises)
        return self._prepared

    def _end_late(self, seconds: float) -> None:
        """A pool of threads waits for its calls for ever; a stopping worker may not."""
        self._draining.wait()
        Event().wait(seconds)
        logger.error("calls still run %.0f s after the end was asked for: leaving them to others", seconds)
        if self._station:
            self._station.lease.stop()
        os._exit(FENCED_EXIT)
