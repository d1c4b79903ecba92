"""RecordCall made real: the row is committed, then the Celery message is published. The one room that knows Celery.

Publishing blocks, so it is done in a few threads and never on the event loop; it has a short bound, and when it
fails the row is still there: a sweeper publishes it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

from gateway.conversation.actions import RecordCall
from gateway.storage.database import Store
from gateway.storage.redis_client import RedisClient
from ringback.jobs.outcomes import Outcome, failed
from ringback.privacy.redaction import of_arguments
from ringback.privacy.row_privacy import NoKey, RowPrivacy
from ringback.redis.broker import TASK, ignored, make_app
from ringback.statements.jobs import admission
from ringback.statements.jobs.admission import NewJob, Sealed

log = logging.getLogger(__name__)

PUBLISHERS = 4
"""Threads. One publish takes 0.4 ms; four carry thousands of calls a second, and a dead Redis stalls no loop."""


NOT_KEPT = "The function cannot be run here at the moment. Say so; do not call it again."


class JobPublisher:
    """Admits calls of this gateway's sessions.

    Args:
        discretion: what of a call its row may show.
    """

    def __init__(self, store: Store, redis_url: str, gateway_id: str, row_privacy: RowPrivacy | None = None) -> None:
        self._store = store
        self.row_privacy = row_privacy or RowPrivacy()
        self._gateway_id = gateway_id
        self._celery = make_app(redis_url)
        if said := ignored(os.environ):
            log.warning("%s", said)
        self.bell = RedisClient(redis_url)
        self._threads = ThreadPoolExecutor(PUBLISHERS, thread_name_prefix="publish")

    async def record(self, record: RecordCall, epoch: int) -> bool:
        """Commit the call's row. False: it is recorded already, or the session is no longer ours."""
        job, outcome, sealed = self._as_its_row_shows_it(record)
        return bool(await self._store.rows(admission.admit(job, self._gateway_id, epoch, outcome, sealed)))

    async def publish(self, job_id: UUID, queue: str) -> bool:
        """Hand the job's id to its queue. False: it was not taken, which is only lateness."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._send, str(job_id), queue)
        except Exception as problem:  # kombu and redis raise a family of errors with no common parent but this
            log.warning("job %s is not published yet (%s); a sweeper will", job_id, type(problem).__name__)
            return False
        return True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._celery.close()

    def _as_its_row_shows_it(self, record: RecordCall) -> tuple[NewJob, Outcome | None, Sealed]:
        """Where it cannot be sealed, what would have to be is left out, and the call is not run."""
        job, fields = record.job, record.job.tool.manners.redact if record.job.tool else ()
        try:
            asked = self.row_privacy.arguments(job.arguments, job.session_id, fields)
            outcome, ending = record.outcome, None
            if outcome is not None:
                knowing = self.row_privacy.knowing(job.arguments, fields)
                outcome, ending = knowing.outcome(outcome, job.session_id, fields)
            return replace(job, arguments=asked.shown), outcome, Sealed(asked.sealed, ending)
        except NoKey as problem:
            log.error("job %s of tool %s is not run: %s", job.id, job.name, problem)
            shown = self.row_privacy.redaction.data(job.arguments, of_arguments(fields))
            return replace(job, arguments=shown), record.outcome or failed("not_kept", NOT_KEPT), Sealed()

    def _send(self, job_id: str, queue: str) -> None:
        self._celery.send_task(TASK, args=[job_id], queue=queue, ignore_result=True, retry=False)
