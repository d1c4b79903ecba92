"""Progress notes of running tools, on their way to their rows.

A note may come from the event loop that all async tools share, so nothing is written where it is said: a thread of
its own writes the latest note of each job, and drops what a newer one has replaced.
"""

from __future__ import annotations

import logging
from threading import Condition, Thread
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from ringback.statements import jobs
from workers.logs import Seldom
from workers.results import MAX_NOTE_CHARS, clean_text
from workers.store import Store, count

_seldom = Seldom(logging.getLogger(__name__))


class Notes:
    """The notes that are still to be written: at most one for each running job."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[UUID, tuple[UUID, str]] = {}
        self._change = Condition()
        self._thread: Thread | None = None

    def note(self, job_id: UUID, token: UUID, text: str) -> None:
        """Have it written soon; never waits for Postgres."""
        with self._change:
            self._waiting[job_id] = (token, clean_text(str(text))[:MAX_NOTE_CHARS])
            if self._thread is None:
                self._thread = Thread(target=self._write, name="progress-notes", daemon=True)
                self._thread.start()
            self._change.notify()

    def _write(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting)
                job_id = next(iter(self._waiting))
                token, text = self._waiting.pop(job_id)
            try:
                count(self._store.claims, jobs.note_progress(job_id, token, text))
            except SQLAlchemyError as problem:
                _seldom.warning("a progress note was lost: %s", problem)
