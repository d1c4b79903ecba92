"""Reporter of running tools' progress notes.

A note may come from the event loop that all async tools share, so it is not written there. A thread of its own writes
the latest note of each job, drops older ones, and notifies the gateway, which may tell the user.
"""

from __future__ import annotations

import logging
from threading import Condition, Thread
from time import sleep
from uuid import UUID

import psycopg

from ringback.statements.jobs import transitions
from workers.execution.results import MAX_NOTE_CHARS, clean_text
from workers.logs import ThrottledLogger
from workers.storage.database import Store, first
from workers.storage.redis_client import RedisClient

PAUSE_SECONDS = 0.2
"""Pause between two rounds of writing: a tool that reports each of ten thousand rows costs five rows a second."""

_throttled = ThrottledLogger(logging.getLogger(__name__))


class ProgressReporter:
    """Reporter of notes that are still to be written: at most one for each running job."""

    def __init__(self, store: Store, redis: RedisClient) -> None:
        self._store = store
        self._redis = redis
        self._waiting: dict[UUID, tuple[UUID, str]] = {}
        self._change = Condition()
        self._thread: Thread | None = None

    def note(self, job_id: UUID, token: UUID, text: str) -> None:
        """Queue the note to be written soon. Never waits for Postgres."""
        with self._change:
            if self._thread is None and not self._start():
                return
            self._waiting[job_id] = (token, clean_text(str(text))[:MAX_NOTE_CHARS])
            self._change.notify()

    def _start(self) -> bool:
        thread = Thread(target=self._write, name="progress-notes", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:  # the system has none for it; the next note tries again
            _throttled.warning("progress note lost: %s", problem)
            return False
        self._thread = thread
        return True

    def _write(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, {}
            for job_id, (token, text) in waiting.items():
                self._write_one(job_id, token, text)
            sleep(PAUSE_SECONDS)

    def _write_one(self, job_id: UUID, token: UUID, text: str) -> None:
        try:
            row = first(self._store.claims, transitions.note_progress(job_id, token, text))
        except psycopg.Error as problem:
            _throttled.warning("progress note lost: %s", problem)
            return
        if row is not None and row.gateway_id:
            self._redis.notify(row.gateway_id, row.session_id)
