"""Failures of a remote tool, so that a job ends as it should.

the call was not executed  ToolError, may be retried; also for a tool that must not run twice
the server refused it      ToolError with its words, not retried
it may have been executed  may be retried, unless it must not run twice: then the outcome is unknown
"""

from __future__ import annotations

from ringback.errors import RingbackError, ToolError
from ringback.jobs.states import Effect

MAX_WORDS_CHARS = 600
"""Most characters of a server's error message: a model reads a sentence, not a page of HTML."""


class ConnectionLost(RingbackError):
    """The call went out, and what became of it is not known."""


def not_reached(whom: str) -> ToolError:
    """Return the error of a call that was not sent."""
    return ToolError(
        f"{whom} could not be reached, and nothing was done. Say so, and offer to try again later.",
        code="not_reached",
        retryable=True,
    )


def lost(effect: Effect, sentence: str, code: str) -> Exception:
    """Return the error of a call that may have been executed. If it must not run twice, it ends as unknown."""
    if effect is Effect.AT_MOST_ONCE:
        return ConnectionLost(sentence)
    return ToolError(sentence, code=code, retryable=True)


def refused(sentence: str, code: str, *, retryable: bool = False) -> ToolError:
    """Return the error of a call that was not executed, or not as asked; the model is told why."""
    return ToolError(bounded(sentence), code=code, retryable=retryable)


def bounded(text: str) -> str:
    """Return the text on one line, no longer than a model should have to read."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_WORDS_CHARS else f"{text[:MAX_WORDS_CHARS]} …"
