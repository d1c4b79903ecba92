"""Outcomes: how a job can end, and what the model is told about it.

Both sides share an Outcome: a worker (or the sweeper) writes it into the job's row; the gateway reads it and renders it
as the `output` string of a `function_call_output` item. The Realtime API takes free text there. Ringback sends JSON
unless the tool returned plain text, so that a model can tell a result from an error: an error is always `{"error":
{"code", "message"}}`, and the message says what to do next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ringback.jobs.states import TERMINAL, CancelReason, JobState

MAX_OUTPUT_CHARS = 16_000
"""About 4,000 tokens: a larger output pushes the conversation out of the model's window."""
CUT_NOTE_CHARS = 48
"""Room for the words that say how much was cut."""
MAX_MESSAGE_CHARS = 1_000
"""Length of an error's sentence; a stack trace helps no listener."""

MESSAGES: dict[str, str] = {
    "timed_out": "The function did not finish in time. Say so, and offer to try again.",
    "cancelled": "The call was cancelled before it finished. Do not report a result.",
    "approval_denied": "The answer was no, so it was not done. Do not ask for it again.",
    "approval_expired": "No approval came in time, so it was not done. Say so, and offer to ask again.",
    "worker_lost": "The function could not be completed after several attempts. Say so, and offer to try later.",
    "outcome_unknown": (
        "It is not known whether the action took effect. Do not repeat it; tell the user that it must be checked."
    ),
}

CANCELLED_BY: dict[str, str] = {
    CancelReason.OPERATOR: "An operator cancelled the call before it finished. Do not report a result.",
    CancelReason.CALLER: "The call was cancelled, as the user wished. Do not report a result.",
    CancelReason.BARGE_IN: (
        "The call was cancelled because the user began to speak. Do not report a result; "
        "call the function again only if the user still wants it."
    ),
    CancelReason.REPLACED: "The same call was made again and takes the place of this one. Wait for the newer one.",
    CancelReason.UNHEARD: "The call could not be run in time, and was cancelled. Say so, and offer to try again.",
}
"""What the model is told of a cancelled call if the reason is known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a job.

    Args:
        state: one of the terminal job states.
        result: what the tool returned, as JSON data; only if it succeeded.
        code: short name of the error; empty if it succeeded.
        message: what the model is told about it.
    """

    state: JobState
    result: Any = None
    code: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        if self.state not in TERMINAL:
            raise ValueError(f"a job in state {self.state} has no outcome yet")

    @property
    def error(self) -> dict[str, str] | None:
        """Return `{"code", "message"}`, or None if the tool succeeded, as the row and the API show it."""
        return None if self.state is JobState.SUCCEEDED else {"code": self.code, "message": self.message}

    def output(self, max_chars: int = MAX_OUTPUT_CHARS) -> str:
        """Return the `output` string of the `function_call_output` item (Realtime API, conversation.item.create)."""
        if self.error is not None:
            return _json({"error": self.error})
        text = self.result if isinstance(self.result, str) else _json(self.result)
        return cut(text, max_chars)


def succeeded(result: Any) -> Outcome:
    """Return the outcome of a tool that returned `result`, which must be JSON data."""
    return Outcome(JobState.SUCCEEDED, result=result)


def failed(code: str, message: str) -> Outcome:
    """Return the outcome of a call that the tool, or a check before it, refused."""
    return Outcome(JobState.FAILED, code=code, message=cut(message, MAX_MESSAGE_CHARS))


def timed_out() -> Outcome:
    """Return the outcome of a job whose deadline passed."""
    return _known(JobState.TIMED_OUT, "timed_out")


def cancelled() -> Outcome:
    """Return the outcome of a cancelled job."""
    return _known(JobState.CANCELLED, "cancelled")


def unknown() -> Outcome:
    """Return the outcome of a job whose effect may have happened and must not be repeated."""
    return _known(JobState.UNKNOWN, "outcome_unknown")


def from_row(state: str, result: Any, error: dict[str, str] | None, cancel_reason: str | None = None) -> Outcome:
    """Return the outcome that a finished job's row holds. A sweeper's rows hold only a code."""
    if JobState(state) is JobState.SUCCEEDED:
        return succeeded(result)
    code = (error or {}).get("code", "")
    message = (error or {}).get("message") or MESSAGES.get(code, "The function could not be completed.")
    if code == "cancelled":
        message = CANCELLED_BY.get(cancel_reason or "", message)
    return Outcome(JobState(state), code=code, message=message)


def _known(state: JobState, code: str) -> Outcome:
    return Outcome(state, code=code, message=MESSAGES[code])


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text: if it is longer, its beginning and how much was cut."""
    if len(text) <= limit:
        return text
    kept = limit - CUT_NOTE_CHARS
    return f"{text[:kept]} … [cut: {len(text) - kept} more characters]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
