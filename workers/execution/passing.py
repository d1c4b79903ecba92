"""Passing of calls to another worker, if this one does not have their tool, or not in a version that they fit.

The call goes back to its queue, uncounted, after a short pause. Redis hands a message to the worker that has waited the
longest, so a call has seen each idle worker once before it comes back. The model is told only if no worker has
announced the tool for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg

from ringback.statements.jobs import passing
from ringback.statements.jobs.admission import time_for
from ringback.tools.decorator import Tool
from workers.execution.delayed_publisher import DelayedPublisher
from workers.execution.results import fits
from workers.execution.retry_policy import not_served
from workers.execution.tool_limits import Claimed, Postponed
from workers.storage.database import Store, count, first, rows

FIRST_PAUSE_SECONDS = 0.005
"""Pause before a new call is published again: too short to hear, and long enough for other workers to wait."""
PAUSE_SHARE = 0.1
"""The same as a share of the time that the call has waited, if that is more: workers with the tool may be busy."""
MAX_PAUSE_SECONDS = 0.5
"""Longest pause of a call, if no other waits."""
PASSED_ON_A_SECOND = 200
"""Calls that one worker passes on. With more, each waits longer: a backlog would otherwise go round and round."""

logger = logging.getLogger(__name__)


def pause(waited: float, held: int) -> float:
    """Return the seconds until a call that has waited so long is published again, while `held` more wait here."""
    return min(max(FIRST_PAUSE_SECONDS, waited * PAUSE_SHARE), MAX_PAUSE_SECONDS) + held / PASSED_ON_A_SECOND


class Passing:
    """Passes calls on.

    Args:
        store: connections to Postgres.
        tools: this worker's.
        delayed: publishes only passed-on calls: its length says how many wait here.
    """

    def __init__(self, store: Store, tools: Mapping[str, Tool], delayed: DelayedPublisher) -> None:
        self._store = store
        self._tools = tools
        self._delayed = delayed

    def claim(self, job_id: UUID, asked: Any, worker_id: str, token: UUID) -> Claimed | Postponed | None:
        """Pass on a call whose tool this worker does not have. If no worker has it, claim it, to answer it.

        Args:
            asked: the row of `gates.wanted_tool`.

        Raises:
            psycopg.Error: it may have been claimed; `claim.give_up` undoes that.
        """
        seconds = self._pause(asked.timeout, asked.max_attempts, asked.seconds_left)
        passed_on = first(self._store.claims, passing.pass_on(job_id, seconds))
        if passed_on is not None:
            self._delayed.publish(job_id, passed_on.queue, seconds)
            return Postponed(seconds, f"for a worker that has the tool {asked.tool}")
        row = first(self._store.claims, passing.claim_unserved(job_id, worker_id, token, asked.tool))
        return None if row is None else Claimed(row, answer=not_served(asked.tool))

    def pass_back(self, job: Any) -> bool:
        """Pass on a claimed job whose arguments fit another worker's version of the tool and not this one's.

        False: they fit no other version, or that is unknown; this worker has to refuse it.
        """
        tool = self._tools[job.tool]
        seconds = self._pause(job.timeout, job.max_attempts, job.seconds_left)
        try:
            others = rows(self._store.claims, passing.other_versions(job.tool, tool.announcement.version))
            queue = next((other.queue for other in others if fits(other.parameters, job.arguments)), None)
            if queue is None or not count(self._store.outcomes, passing.pass_back(job.id, job.token, queue, seconds)):
                return False
        except psycopg.Error as problem:
            logger.warning("passing on failed (job %s: %s); this worker refuses it", job.id, problem)
            return False
        self._delayed.publish(job.id, queue, seconds)
        logger.info("call passed on (job %s): its arguments fit another version of %s", job.id, job.tool)
        return True

    def _pause(self, timeout: float, attempts: int, seconds_left: float) -> float:
        return pause(time_for(timeout, attempts) - float(seconds_left), len(self._delayed))
