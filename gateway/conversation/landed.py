"""What the floor keeps books of: results that are to be told, and requests to speak."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Create:
    """A response.create on its way: it has neither begun a response nor been refused."""

    event_id: str
    sent_at: float
    tells: frozenset[str]
    """The results that were written before it."""
    is_word: bool = False
    is_clients: bool = False


@dataclass(frozen=True, slots=True)
class Landed:
    """A result that stands in the conversation, or is on its way there."""

    response_id: str | None
    """The response whose call it answers."""
    at: float
    is_patient: bool = False
    is_retold: bool = False
    """The response that was to tell it has failed; that another might is hoped for once."""
