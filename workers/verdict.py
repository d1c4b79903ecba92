"""What becomes of a job after an attempt that went wrong: the end, or another attempt. Decides, and does nothing.

    what happened                      attempts left        none left
    the tool raised ToolError          failed (its words)   failed (its words)
      … with retryable=True            again                failed (its words)
    it raised anything else            again                failed: tool_failed
    its time was up                    timed_out            timed_out
    … an at_most_once tool, the last two: unknown, because its effect may have happened
    nobody waited any more             cancelled            cancelled

A time-out ends the job at once: a caller has waited that long already, and a sync tool that ran out of time may
still be running in its thread.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ringback.errors import ToolError
from ringback.jobs import Effect, JobState
from ringback.outcomes import MESSAGES, Outcome, cancelled, failed, timed_out
from workers.results import clean_text

BACKOFF_FIRST_SECONDS = 0.5
"""The pause after a first failure: someone is on the line, and most hiccups pass within half a second."""
BACKOFF_MAX_SECONDS = 8.0
"""The longest pause: nobody stays on the line for a longer one."""
BACKOFF_JITTER = 0.5
"""The share of a pause that is random, so that calls which failed together do not come back together."""


class OutOfTime(Exception):
    """The attempt used up its time. Not TimeoutError, which a tool may raise itself."""


class NobodyWaits(Exception):
    """The call was cancelled, and left. Not CancelledError, which a tool may raise itself."""


@dataclass(frozen=True, slots=True)
class Again:
    """Give the job back, to be run again in `backoff` seconds."""

    reason: Outcome
    """The end it would have come to; it is the end if there turns out to be no other attempt."""
    backoff: float

    @property
    def error(self) -> dict[str, str]:
        return {"code": self.reason.code, "message": self.reason.message}


Verdict = Outcome | Again


def on_problem(problem: BaseException, *, attempt: int, max_attempts: int, effect: Effect) -> Verdict:
    """The verdict on an attempt that ended in `problem`; `attempt` is 1 for the first."""
    once = effect is Effect.AT_MOST_ONCE
    if isinstance(problem, ToolError):
        reason = failed(problem.code, clean_text(problem.message))
        again = problem.retryable
    elif isinstance(problem, NobodyWaits):
        return cancelled()
    elif isinstance(problem, OutOfTime):
        return unknown() if once else timed_out()
    else:
        reason = unknown() if once else _fault(problem)
        again = True
    if again and not once and attempt < max_attempts:
        return Again(reason, backoff(attempt))
    return reason


def backoff(attempt: int) -> float:
    """Seconds until the attempt after this one: doubled each time, with a random part, and bounded."""
    pause = min(BACKOFF_FIRST_SECONDS * 2.0 ** (attempt - 1), BACKOFF_MAX_SECONDS)
    return pause * (1 - BACKOFF_JITTER * random.random())  # noqa: S311 (spreads load, guards nothing)


def unknown() -> Outcome:
    """An at_most_once tool may have had its effect."""
    code = "outcome_unknown"
    return Outcome(JobState.UNKNOWN, code=code, message=MESSAGES[code])


def not_served(tool: str) -> Outcome:
    """The tool of this job is none of this worker's: it was announced by one of another version."""
    return failed("tool_not_served", f"The function {tool} is not available at the moment. Say so; do not retry.")


def _fault(problem: BaseException) -> Outcome:
    """The model hears the kind of fault; the text of an exception is for those who read the log."""
    kind = type(problem).__name__
    return failed("tool_failed", f"The function failed ({kind}). Say so, and offer to try again later.")
