"""Calls that another worker has to run: this one does not have their tool, or in a version that they do not fit.

The call goes back to its queue, uncounted, after a short pause. Redis hands a message to the worker that has waited the
longest, so a call has seen each idle worker once before it comes back. Only where no worker has announced the tool for
a while is the model told.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from ringback.statements.jobs import passing
from ringback.statements.jobs.admission import time_for
from ringback.tools.decorator import Tool
from workers.execution.delayed_publisher import DelayedPublisher
from workers.execution.results import fits
from workers.execution.retry_policy import not_served
from workers.execution.tool_limits import Passed, PutOff
from workers.storage.database import Store, count, first, rows

FIRST_PAUSE_SECONDS = 0.005
"""Before a call is published again that has just come: nothing that a caller hears, and time for others to wait."""
PAUSE_SHARE = 0.1
"""Of the time that the call has waited, where that is more: workers that have the tool may be busy for long."""
MAX_PAUSE_SECONDS = 0.5
"""The longest pause of one call alone."""
PASSED_ON_A_SECOND = 200
"""Calls that one worker passes on: with more of them each waits longer, or a backlog would go round and round."""

logger = logging.getLogger(__name__)


def pause(waited: float, held: int) -> float:
    """Seconds until a call is published again that has waited so long, while this worker has `held` more at hand."""
    return min(max(FIRST_PAUSE_SECONDS, waited * PAUSE_SHARE), MAX_PAUSE_SECONDS) + held / PASSED_ON_A_SECOND


class Passing:
    """Passes calls on.

    Args:
        store: where the rows are.
        tools: this worker's.
        later: publishes what is passed on, and nothing else: its length says how much is at hand.
    """

    def __init__(self, store: Store, tools: Mapping[str, Tool], later: DelayedPublisher) -> None:
        self._store = store
        self._tools = tools
        self._later = later

    def claim(self, job_id: UUID, asked: Any, worker_id: str, token: UUID) -> Passed | PutOff | None:
        """Pass on a call whose tool this worker does not have; where no worker has it, claim it, to answer it.

        Args:
            asked: the row of `gates.asked_for`.

        Raises:
            SQLAlchemyError: it may have been claimed; `jobs.give_up` says.
        """
        seconds = self._pause(asked.timeout, asked.max_attempts, asked.seconds_left)
        passed_on = first(self._store.claims, passing.pass_on(job_id, seconds))
        if passed_on is not None:
            self._later.publish(job_id, passed_on.queue, seconds)
            return PutOff(seconds, f"for a worker that has the tool {asked.tool}")
        row = first(self._store.claims, passing.claim_unserved(job_id, worker_id, token, asked.tool))
        return None if row is None else Passed(row, answer=not_served(asked.tool))

    def pass_back(self, job: Any) -> bool:
        """Pass on a claimed job whose arguments do not fit this worker's version of the tool, and fit another's.

        False: they fit no other version, or that is not known; it is this worker's to refuse.
        """
        tool = self._tools[job.tool]
        seconds = self._pause(job.timeout, job.max_attempts, job.seconds_left)
        try:
            others = rows(self._store.claims, passing.other_versions(job.tool, tool.announcement.version))
            queue = next((other.queue for other in others if fits(other.parameters, job.arguments)), None)
            if queue is None or not count(self._store.outcomes, passing.pass_back(job.id, job.token, queue, seconds)):
                return False
        except SQLAlchemyError as problem:
            logger.warning("job %s is not passed on: %s", job.id, problem)
            return False
        self._later.publish(job.id, queue, seconds)
        logger.info("job %s is passed on for another version of %s, which its arguments fit", job.id, job.tool)
        return True

    def _pause(self, timeout: float, attempts: int, seconds_left: float) -> float:
        return pause(time_for(timeout, attempts) - float(seconds_left), len(self._later))
