"""Effects that the conversation returns and the session's loop performs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from simulator.speech.hints import NO_HINTS, Hints
from simulator.wire import Event


class Track(Protocol):
    """A sequence of steps with pauses: a response, or the transcription of the user's words."""

    @property
    def wait_ms(self) -> float | None:
        """How long to wait before the next step; None if there is no step now."""

    def advance(self) -> list[Event]:
        """Play one step and return its events."""


@dataclass(frozen=True)
class Send:
    """Send an event to the client."""

    event: Event


@dataclass(frozen=True)
class Hear:
    """Recognise PCM16 mono 24 kHz speech, in which ``hints`` are likely, then call ``Conversation.heard``."""

    item_id: str
    pcm: bytes
    hints: Hints = NO_HINTS


@dataclass(frozen=True)
class Speak:
    """Synthesise these sentences, then call ``Conversation.voiced``."""

    response_id: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Play:
    """Play a track beside the others: wait, then ``Conversation.advance``, until it has no more steps."""

    track: Track


@dataclass(frozen=True)
class Later:
    """After some time, perform what ``then`` returns at that moment."""

    after_ms: float
    then: Callable[[], list[Effect]]


@dataclass(frozen=True)
class HangUp:
    """End the connection with a close code; 1006 means without a close frame."""

    code: int
    reason: str = ""


Effect = Send | Hear | Speak | Play | Later | HangUp
