"""Log lines: Ringback's at INFO, libraries' at WARNING, all to standard error. Never an argument, never a result."""

from __future__ import annotations

import logging
from time import monotonic

from celery.utils.log import get_multiprocessing_logger

from ringback.config.logs import configure as configure_root
from ringback.config.logs import name_traces
from ringback.telemetry.tracing import current_ids

OURS = ("workers", "ringback")
OF_EACH_MESSAGE = ("celery.app.trace", "celery.worker.strategy")
"""Loggers by which Celery says of each message that it came, and how its task ended; a line of ours says it by the job.
"""
LINE = "%(asctime)s%(process_id)s %(levelname)s %(name)s: %(message)s"
REPEAT_SECONDS = 10.0
"""A fault that repeats many times a second is logged once in this many seconds."""


def configure(level: int) -> None:
    """Configure the log. Unless `level` is stricter than INFO, Ringback's own lines show from INFO on."""
    name_traces(current_ids)
    get_multiprocessing_logger().propagate = True  # else the pool of processes writes bare lines
    configure_root(max(level, logging.WARNING) if level > logging.DEBUG else level, LINE)
    for name in OF_EACH_MESSAGE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
    for name in OURS:
        logging.getLogger(name).setLevel(level if level > logging.WARNING else min(level, logging.INFO))


class ThrottledLogger:
    """Logger that repeats a warning only once in REPEAT_SECONDS."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._last = -REPEAT_SECONDS
        self._unsaid = 0

    def warning(self, message: str, *args: object) -> None:
        """Log a warning, with the count of those left out since the last one."""
        if monotonic() - self._last < REPEAT_SECONDS:
            self._unsaid += 1
            return
        unsaid, self._unsaid, self._last = self._unsaid, 0, monotonic()
        if unsaid:
            self._logger.warning(message + " (and %d times before)", *args, unsaid)
        else:
            self._logger.warning(message, *args)
