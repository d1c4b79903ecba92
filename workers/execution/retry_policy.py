"""Retry policy: what follows an attempt that went wrong, the end or another attempt. Decides only; does no I/O.

    what happened                      attempts left        none left
    the tool raised ToolError          failed (its words)   failed (its words)
      … with retryable=True            retry                failed (its words)
    it raised another exception        retry                failed: tool_failed
    its time was up                    timed_out            timed_out
    … an at_most_once tool, the last two: unknown, because its effect may have happened
    the call was cancelled             cancelled            cancelled

A time-out ends the job at once: a caller has waited that long already, and a sync tool that ran out of time may still
be running in its thread.
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
"""Longest pause, unless the tool's first one is longer: no caller stays on the line for it."""
MAX_CODE_CHARS = 64
"""Most characters of the code that a tool gives its error."""
BACKOFF_JITTER = 0.5
"""Share of a pause that is random, so that calls which failed together are not retried together."""


class DeadlineExceeded(RingbackError):
    """The attempt used up its time. Not TimeoutError, which a tool may raise itself."""


class CallCancelled(RingbackError):
    """The call was cancelled, and left. Not CancelledError, which a tool may raise itself."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Verdict: give the job back, to be run again in `backoff` seconds."""

    reason: Outcome
    """Outcome that applies if the job turns out to have no other attempt."""
    backoff: float

    @property
    def error(self) -> dict[str, str]:
        return {"code": self.reason.code, "message": self.reason.message}


Verdict = Outcome | Retry


def on_problem(
    problem: BaseException, *, attempt: int, max_attempts: int, effect: Effect, first_pause: float
) -> Verdict:
    """Return the verdict on an attempt that ended in `problem`; `attempt` is 1 for the first, `first_pause` follows
    it.
    """
    once = effect is Effect.AT_MOST_ONCE
    if isinstance(problem, ToolError):
        reason = _tool_error(problem)
        again = problem.retryable
    elif isinstance(problem, CallCancelled):
        return cancelled()
    elif isinstance(problem, DeadlineExceeded):
        return unknown() if once else timed_out()
    else:
        reason = fault_of(problem, effect)
        again = True
    if again and not once and attempt < max_attempts:
        return Retry(reason, backoff(attempt, first_pause))
    return reason


def backoff(attempt: int, first: float) -> float:
    """Return the seconds until the next attempt: `first`, doubled each time, with a random part, and bounded."""
    pause = min(first * 2.0 ** (attempt - 1), max(first, BACKOFF_MAX_SECONDS))
    return pause * (1 - BACKOFF_JITTER * random.random())  # noqa: S311 (spreads load, guards nothing)


def end_of(problem: BaseException) -> Ended:
    """Return what an attempt that ended in `problem` shows of whether the tool works."""
    if isinstance(problem, CallCancelled):
        return Ended.LEFT
    if isinstance(problem, ToolError) and not problem.retryable:
        return Ended.ANSWERED
    return Ended.FAILED


def not_served(tool: str) -> Outcome:
    """Return the outcome if no living worker has the tool, nor lately had it (`workers.execution.passing`)."""
    return failed("tool_not_served", f"The function {tool} is not available at the moment. Say so; do not retry.")


def unavailable(tool: str, seconds: float) -> Outcome:
    """Return the outcome if the tool has failed so often that it gets no calls, for so many seconds more."""
    return failed(
        "unavailable",
        f"The function {tool} is failing at the moment and is left alone for about {max(1, round(seconds))} s. It was "
        "not run. Say so, and offer to try again after that; do not call it before.",
    )


def not_allowed(tool: str) -> Outcome:
    """Return the outcome if the user lacks a scope of the tool. It does not tell them which."""
    return failed(
        "not_allowed",
        f"The user is not allowed to use the function {tool}. It was not run. Say so; do not call it again.",
    )


def unreadable() -> Outcome:
    """Return the outcome if no key of this worker decrypts the arguments, or could encrypt the result."""
    return failed("unreadable", "The function cannot be run here at the moment. Say so; do not call it again.")


def busy(tool: str, seconds: float) -> Outcome:
    """Return the outcome if so many calls of the tool wait that this one's turn comes after its deadline."""
    return failed(
        "busy",
        f"Too many calls of the function {tool} are waiting: it would be this one's turn in about {round(seconds)} s. "
        "It was not run. Say so, and offer to try again later; do not call it again at once.",
    )


def _tool_error(problem: ToolError) -> Outcome:
    """Return the tool's own error, made safe: a bad error object must not break the verdict."""
    message = _text(problem.message).strip() or "The function could not do that, and does not say why. Say so."
    return failed(_text(problem.code)[:MAX_CODE_CHARS] or "tool_error", message)


def _text(value: object) -> str:
    """Return what stands in the error as text; nothing if it cannot be read."""
    try:
        return clean_text(str(value))
    except Exception:  # an author's own __str__
        return ""


def fault_of(problem: BaseException, effect: Effect) -> Outcome:
    """Return the outcome of a fault: the model is told its kind. The exception's text is only for the log."""
    if effect is Effect.AT_MOST_ONCE:
        return unknown()
    kind = type(problem).__name__
    return failed("tool_failed", f"The function failed ({kind}). Say so, and offer to try again later.")
