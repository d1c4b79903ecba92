"""What a tool that is elsewhere fails with, so that a job ends as it should.

nothing was done       ToolError, may be tried again; also for a tool that must not run twice
it said no             ToolError with its words, not tried again
nobody knows           may be tried again, unless it must not run twice: then the outcome is unknown
"""

from __future__ import annotations

from ringback.errors import RingbackError, ToolError
from ringback.jobs.states import Effect

MAX_WORDS_CHARS = 600
"""Of what a server says was wrong: a model reads a sentence, not a page of HTML."""


class ConnectionLost(RingbackError):
    """The call went out, and what became of it is not known."""


def not_reached(whom: str) -> ToolError:
    """Nothing was sent."""
    return ToolError(
        f"{whom} could not be reached, and nothing was done. Say so, and offer to try again later.",
        code="not_reached",
        retryable=True,
    )


def lost(effect: Effect, sentence: str, code: str) -> Exception:
    """It may have been done. One that must not run twice ends as unknown, which no ToolError does."""
    if effect is Effect.AT_MOST_ONCE:
        return ConnectionLost(sentence)
    return ToolError(sentence, code=code, retryable=True)


def refused(sentence: str, code: str, *, retryable: bool = False) -> ToolError:
    """It was not done, or not as asked, and the model is told why."""
    return ToolError(bounded(sentence), code=code, retryable=retryable)


def bounded(text: str) -> str:
    """On one line, and no longer than a model should have to read."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_WORDS_CHARS else f"{text[:MAX_WORDS_CHARS]} …"
