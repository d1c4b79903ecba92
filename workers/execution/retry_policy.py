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

from ringback.errors import RingbackError, ToolError
from ringback.jobs.outcomes import Outcome, cancelled, failed, timed_out, unknown
from ringback.jobs.states import Effect
from ringback.tools.gate import Ended
from workers.execution.results import clean_text

BACKOFF_MAX_SECONDS = 8.0
"""The longest pause, unless the tool's first one is longer: nobody stays on the line for it."""
MAX_CODE_CHARS = 64
"""Of the short name that a tool gives its error."""
BACKOFF_JITTER = 0.5
"""The share of a pause that is random, so that calls which failed together do not come back together."""


class DeadlineExceeded(RingbackError):
    """The attempt used up its time. Not TimeoutError, which a tool may raise itself."""


class CallCancelled(RingbackError):
    """The call was cancelled, and left. Not CancelledError, which a tool may raise itself."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Give the job back, to be run again in `backoff` seconds."""

    reason: Outcome
    """The end it would have come to; it is the end if there turns out to be no other attempt."""
    backoff: float

    @property
    def error(self) -> dict[str, str]:
        return {"code": self.reason.code, "message": self.reason.message}


Verdict = Outcome | Retry


def on_problem(
    problem: BaseException, *, attempt: int, max_attempts: int, effect: Effect, first_pause: float
) -> Verdict:
    """The verdict on an attempt that ended in `problem`; `attempt` is 1 for the first, `first_pause` follows it."""
    once = effect is Effect.AT_MOST_ONCE
    if isinstance(problem, ToolError):
        reason = _said(problem)
        again = problem.retryable
    elif isinstance(problem, CallCancelled):
        return cancelled()
    elif isinstance(problem, DeadlineExceeded):
        return unknown() if once else timed_out()
    else:
        reason = unknown() if once else _fault(problem)
        again = True
    if again and not once and attempt < max_attempts:
        return Retry(reason, backoff(attempt, first_pause))
    return reason


def backoff(attempt: int, first: float) -> float:
    """Seconds until the attempt after this one: `first`, doubled each time, with a random part, and bounded."""
    pause = min(first * 2.0 ** (attempt - 1), max(first, BACKOFF_MAX_SECONDS))
    return pause * (1 - BACKOFF_JITTER * random.random())  # noqa: S311 (spreads load, guards nothing)


def says_of_its_tool(problem: BaseException) -> Ended:
    """What an attempt that ended in `problem` says of whether the tool works."""
    if isinstance(problem, CallCancelled):
        return Ended.LEFT
    if isinstance(problem, ToolError) and not problem.retryable:
        return Ended.ANSWERED
    return Ended.FAILED


def not_served(tool: str) -> Outcome:
    """No worker that lives has the tool, nor has any had it for a while (`workers.execution.passing`)."""
    return failed("tool_not_served", f"The function {tool} is not available at the moment. Say so; do not retry.")


def unavailable(tool: str, seconds: float) -> Outcome:
    """The tool has failed so often that it is left alone, for so many seconds more."""
    return failed(
        "unavailable",
        f"The function {tool} is failing at the moment and is left alone for about {max(1, round(seconds))} s. It was "
        "not run. Say so, and offer to try again after that; do not call it before.",
    )


def not_allowed(tool: str) -> Outcome:
    """Whoever is talking does not hold what the tool asks for; which scopes those are is not theirs to hear."""
    return failed(
        "not_allowed",
        f"Whoever is talking is not allowed to use the function {tool}. It was not run. Say so; do not call it again.",
    )


def unreadable() -> Outcome:
    """What was asked is sealed, and no key of this worker opens it; or what it returns could not be sealed."""
    return failed("unreadable", "The function cannot be run here at the moment. Say so; do not call it again.")


def busy(tool: str, seconds: float) -> Outcome:
    """So many calls of the tool wait that nobody would wait for this one's turn, in so many seconds."""
    return failed(
        "busy",
        f"Too many calls of the function {tool} are waiting: it would be this one's turn in about {round(seconds)} s. "
        "It was not run. Say so, and offer to try again later; do not call it again at once.",
    )


def _said(problem: ToolError) -> Outcome:
    """Whatever a tool has put into its error: a verdict must not fail for it."""
    message = (
        clean_text(str(problem.message)).strip() or "The function could not do that, and does not say why. Say so."
    )
    return failed(clean_text(str(problem.code))[:MAX_CODE_CHARS] or "tool_error", message)


def _fault(problem: BaseException) -> Outcome:
    """The model hears the kind of fault; the text of an exception is for those who read the log."""
    kind = type(problem).__name__
    return failed("tool_failed", f"The function failed ({kind}). Say so, and offer to try again later.")
