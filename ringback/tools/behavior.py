"""What a tool says of itself beside what it does: how a conversation behaves around its calls, and how much it bears.

Both are part of its announcement: workers write them into Postgres, gateways and workers read them there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

MAX_WORDS_CHARS = 200
"""Of `say`: what is said while a caller waits is a sentence."""


class OnBargeIn(StrEnum):
    """What becomes of a running call when the user begins to speak."""

    CONTINUE = "continue"
    CANCEL = "cancel"


class Late(StrEnum):
    """How a result is brought up that comes after the user has said something else."""

    SPEAK = "speak"
    """As soon as nobody speaks."""
    WHEN_QUIET = "when_quiet"
    """When both sides have been quiet for a while (`quiet_seconds` of the agent)."""
    SILENT = "silent"
    """Not at all: the model has it, and tells it when it is asked."""


class OnDuplicate(StrEnum):
    """What becomes of a call that is made again, with the same arguments, while the first one runs."""

    JOIN = "join"
    """It is not run; both are answered by what the first one returns."""
    REJECT = "reject"
    """It is refused, and the model hears why."""
    ALLOW = "allow"
    """It runs beside the first one."""
    REPLACE = "replace"
    """The first one is cancelled."""


class Audience(StrEnum):
    """Who gets to see a result. Errors are the model's to tell, always."""

    MODEL = "model"
    CLIENT = "client"
    """The client alone (`ringback.result`); the model hears that it was shown."""
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class ToolBehavior:
    """How a conversation behaves around a call of the tool.

    Args:
        say_after: seconds after which the user is told that it is still running; None: never.
        say: the words, or None: the model finds its own. Progress that the tool has reported is added.
        say_every: seconds from one such word to the next; None: once.
        on_barge_in: what becomes of it when the user begins to speak.
        late: how a result is brought up that comes after the user has said something else.
        drop_after: seconds after which a result is out of date: it is kept, and not told; None: never.
        on_duplicate: what becomes of the same call while one runs.
        cancellable: True where the caller may have it cancelled, by a function that the model can call.
        requires_approval: True where the user must say yes before it may start.
        approval_seconds: how long that is waited for.
        audience: who gets to see a result.
        scopes: what the session's principal must hold, or the tool does not exist for them; the model has no say.
        is_untrusted: True where the result holds words of strangers, such as a web page: until the user has said
            something again, no tool that changes something runs on the strength of it without their yes.
        redact: arguments, and fields of the result, that are kept nowhere in clear text: "iban", "result.iban".
    """

    say_after: float | None = None
    say: str | None = None
    say_every: float | None = None
    on_barge_in: OnBargeIn = OnBargeIn.CONTINUE
    late: Late = Late.WHEN_QUIET
    drop_after: float | None = None
    on_duplicate: OnDuplicate = OnDuplicate.JOIN
    cancellable: bool = True
    requires_approval: bool = False
    approval_seconds: float = 60.0
    audience: Audience = Audience.MODEL
    scopes: tuple[str, ...] = ()
    is_untrusted: bool = False
    redact: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """As JSON data, for its row."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> ToolBehavior:
        """Out of a row; what a newer version knows beside it is left out."""
        kept = _known(cls, data)
        words: dict[str, Any] = {
            "on_barge_in": OnBargeIn,
            "late": Late,
            "on_duplicate": OnDuplicate,
            "audience": Audience,
            "scopes": tuple,
            "redact": tuple,
        }
        return cls(**{name: words[name](value) if name in words else value for name, value in kept.items()})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the tool, or what stands behind it, bears: over all workers together.

    Args:
        concurrency: calls that run at once; None: any number.
        rate: calls that begin in a second, on average; None: any number.
        burst: calls that may begin at once after a quiet time, where there is a rate.
        breaker_failures: failures in a row after which it is left alone; None: never.
        breaker_seconds: for how long; then one call is let through, to see.
        backoff: seconds before the second attempt; each further pause is twice as long.
    """

    concurrency: int | None = None
    rate: float | None = None
    burst: int = 1
    breaker_failures: int | None = None
    breaker_seconds: float = 30.0
    backoff: float = 0.5

    @property
    def is_gated(self) -> bool:
        """True where a worker has to ask before it claims."""
        return self.concurrency is not None or self.rate is not None or self.breaker_failures is not None

    def as_data(self) -> dict[str, Any]:
        """As JSON data, for its row."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Limits:
        """Out of a row; what a newer version knows beside it is left out."""
        return cls(**_known(cls, data))


def _known(kind: type[ToolBehavior] | type[Limits], data: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
