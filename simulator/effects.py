"""What the conversation wants done: it decides, and the session's loop carries out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from simulator.wire import Event


class Track(Protocol):
    """Something that is played step by step: a response, or the transcription of what the user said."""

    @property
    def wait_ms(self) -> float | None:
        """How long to wait before the next step; None when there is nothing (more) to play."""

    def advance(self) -> list[Event]:
        """Play one step and return its events."""


@dataclass(frozen=True)
class Send:
    """Send an event to the client."""

    event: Event


@dataclass(frozen=True)
class Hear:
    """Recognise PCM16 mono 24 kHz speech, then call ``Conversation.heard``."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True)
class Speak:
    """Synthesise these sentences, then call ``Conversation.voiced``."""

    response_id: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Play:
    """Play a track beside the others: wait, then ``Conversation.advance``, until it has nothing more."""

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
