"""Behavior and limits of a tool, which its author declares: how a conversation treats its calls, and how many may run.

Both are part of the tool's specification: workers write them into Postgres, gateways and workers read them there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ringback.record_fields import by_name

MAX_WORDS_CHARS = 200
"""Most characters of `say`: what is said while a caller waits is a sentence."""


class OnBargeIn(StrEnum):
    """What happens to a running call when the user begins to speak."""

    CONTINUE = "continue"
    CANCEL = "cancel"


class Late(StrEnum):
    """How a late result is brought up, after the user has said something else."""

    SPEAK = "speak"
    """As soon as neither side speaks."""
    WHEN_QUIET = "when_quiet"
    """When both sides have been quiet for a while (`quiet_seconds` of the agent)."""
    SILENT = "silent"
    """Never: the model has it, and tells it when it is asked."""


class OnDuplicate(StrEnum):
    """What happens to a call that is made again, with the same arguments, while the first one runs."""

    JOIN = "join"
    """The second call does not run; the first one's result answers both."""
    REJECT = "reject"
    """The second call is refused, and the model is told why."""
    ALLOW = "allow"
    """The second call runs beside the first one."""
    REPLACE = "replace"
    """The first call is cancelled."""


class Audience(StrEnum):
    """Who sees a result. The model always tells errors."""

    MODEL = "model"
    CLIENT = "client"
    """Only the client (`ringback.result`); the model is told that it was shown."""
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class ToolBehavior:
    """Behavior of a conversation around a call of the tool.

    Args:
        say_after: seconds after which the user is told that it is still running; None: never.
        say: the words, or None: the model finds its own. Progress that the tool has reported is added.
        say_every: seconds from one such filler to the next; None: once.
        on_barge_in: what happens to it when the user begins to speak.
        late: how a result is brought up after the user has said something else.
        drop_after: seconds after which a result is out of date: it is kept, and not told; None: never.
        on_duplicate: what happens to the same call while one runs.
        cancellable: True if the user may have it cancelled, by a function that the model can call.
        requires_approval: True if the user must approve it before it may start.
        approval_seconds: how long the gateway waits for that.
        audience: who sees a result.
        scopes: what the session's user must hold; for others the tool does not exist. The model has no say.
        is_untrusted: True if the result holds text from outside, such as a web page. Until the user has spoken again,
            no tool that changes something runs without their approval.
        redact: arguments, and fields of the result, that are stored nowhere in clear text: "iban", "result.iban".
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
        """Return it as JSON data, for its row."""
        return by_name(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> ToolBehavior:
        """Return it from a row, without the fields that only a newer version knows."""
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
    """Limits of the tool, or of what it calls: over all workers together.

    Args:
        concurrency: calls that run at once; None: any number.
        rate: calls that begin in a second, on average; None: any number.
        burst: calls that may begin at once after a quiet time, if there is a rate.
        breaker_failures: failures in a row after which it gets no calls; None: never.
        breaker_seconds: for how long; then one call is let through as a probe.
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
        """Return true if a worker must pass the tool's gate before it claims."""
        return self.concurrency is not None or self.rate is not None or self.breaker_failures is not None

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data, for its row."""
        return by_name(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Limits:
        """Return it from a row, without the fields that only a newer version knows."""
        return cls(**_known(cls, data))


def _known(kind: type[ToolBehavior] | type[Limits], data: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
