"""Buffer of the client's events that the server has not confirmed; they are sent again after a reconnect.

What confirms an event stands in its class (`gateway.protocol.client_events`): audio is confirmed when the server
commits it to an item, a typed message when its item is echoed, a setting when it is in force. A connection that ends
takes unconfirmed events with it. So they are kept here, within a bound. The gateway's word about a transfer is kept
among them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from gateway.conversation.actions import Event
from gateway.conversation.event_names import APPEND_AUDIO, AUDIO_BUFFER, CLEAR_AUDIO, COMMIT_AUDIO
from gateway.protocol import RESENT_UNTIL, AppendAudio
from gateway.upstream.events import (
    Item,
    ItemShown,
    ModelEvent,
    Told,
    UserStartedSpeaking,
    UserStoppedSpeaking,
    UserTurnCommitted,
)

MAX_SPEECH_BYTES = 1_500_000
"""Thirty seconds of PCM16: longer than people talk without a pause."""
MAX_SILENCE_BYTES = 24_000
"""Half a second of PCM16 before the user is heard to speak: the beginning of the first word. A server tells of it a
third of a second later."""
LEAST_BYTES = 480
"""Ten milliseconds: what a frame counts for at least, so that many tiny ones have a bound too."""
CONFIRMATIONS = frozenset(RESENT_UNTIL.values())
"""The server's events that confirm one of the client's."""
MAX_TYPED = 32
"""Messages and settings; a server echoes each within a round trip."""


@dataclass(slots=True)
class ResendBuffer:
    """The client's unconfirmed events, in their order."""

    detects_turns: bool = True
    """The server listens for turns by itself: what it does not take for speech it throws away."""
    _sent: deque[Event | AppendAudio] = field(default_factory=deque)
    """Audio is kept as bytes, which take three quarters of its text."""
    _bytes: int = 0
    _speaking: bool = False
    _turn_ends: int | None = None
    """How many of the events belong to the turn that the server is about to commit."""

    def said(self, event: Event) -> None:
        """Keep a client's event that goes out."""
        kind = event["type"]
        if kind == APPEND_AUDIO:
            self.appended(msgspec.convert(event, AppendAudio))
        elif kind in RESENT_UNTIL:
            self._keep(event)
        elif kind == CLEAR_AUDIO:
            self._drop_audio(len(self._sent))

    def appended(self, append: AppendAudio) -> None:
        """Keep audio that goes out, and give up the oldest beyond the bound."""
        if not append.audio:
            return
        sent = self._sent
        sent.append(append)
        self._bytes += max(len(append.audio), LEAST_BYTES)
        bound = MAX_SPEECH_BYTES if self._speaking or not self.detects_turns else MAX_SILENCE_BYTES
        while self._bytes > bound:
            self._drop(0 if type(sent[0]) is AppendAudio else self._oldest_audio())

    def heard(self, event: ModelEvent) -> None:
        """Drop what the server's event confirms."""
        kind = type(event)
        if kind is UserStartedSpeaking:
            self._speaking = True
        elif kind is UserStoppedSpeaking:
            self._speaking, self._turn_ends = False, len(self._sent)
        elif kind is UserTurnCommitted:
            self._committed()
        elif type(event) is ItemShown:
            self._echoed(event.item)
        elif kind in CONFIRMATIONS:
            self._confirmed(kind)

    def refused(self, event_id: object) -> None:
        """Drop an event that the server refused: it would refuse it again."""
        for at, sent in enumerate(self._sent):
            if event_id is not None and _event_id(sent) == event_id:
                self._drop(at)
                return

    def again(self) -> list[Event]:
        """Return the events to send again, in order."""
        return [sent if isinstance(sent, dict) else msgspec.to_builtins(sent) for sent in self._sent]

    def _oldest_audio(self) -> int:
        return next(at for at, sent in enumerate(self._sent) if type(sent) is AppendAudio)

    def _keep(self, event: Event) -> None:
        self._sent.append(event)
        if len(self._sent) > MAX_TYPED:
            typed = [at for at, sent in enumerate(self._sent) if type(sent) is not AppendAudio]
            if len(typed) > MAX_TYPED:
                self._drop(typed[0])

    def _committed(self) -> None:
        """Drop the audio up to the end of the turn, or up to the client's commit: it is an item now."""
        ends = self._turn_ends
        if ends is None:
            commits = (at + 1 for at, sent in enumerate(self._sent) if _kind(sent) == COMMIT_AUDIO)
            ends = next(commits, len(self._sent))
        self._drop_audio(ends)

    def _confirmed(self, by: type[Told]) -> None:
        """Drop the oldest event that this one confirms."""
        at = next((at for at, sent in enumerate(self._sent) if RESENT_UNTIL[_kind(sent)] is by), None)
        if at is not None:
            self._drop(at)

    def _echoed(self, item: Item) -> None:
        """Drop the item that is echoed: known by its id, or by its words if the server gives items other ids."""
        typed = [(at, sent["item"]) for at, sent in enumerate(self._sent) if isinstance(sent, dict) and "item" in sent]
        by_id = (at for at, said in typed if said.get("id") == item.id)
        by_words = (at for at, said in typed if said.get("role") == item.role and _same_words(said, item))
        at = next(by_id, next(by_words, None))
        if at is not None:
            self._drop(at)

    def _drop_audio(self, before: int) -> None:
        for at in reversed(range(before)):
            if _kind(self._sent[at]).startswith(AUDIO_BUFFER):
                self._drop(at)
        self._turn_ends = None

    def _drop(self, at: int) -> None:
        sent = self._sent[at]
        if type(sent) is AppendAudio:
            self._bytes -= max(len(sent.audio), LEAST_BYTES)
        del self._sent[at]
        if self._turn_ends is not None and at < self._turn_ends:
            self._turn_ends -= 1


def _same_words(said: Event, item: Item) -> bool:
    words = [part.get("text") for part in said.get("content") or []]
    parts = item.content or []
    return any(words) and words == [part.get("text") for part in parts if isinstance(part, dict)]


def _kind(sent: Event | AppendAudio) -> str:
    return str(sent["type"]) if isinstance(sent, dict) else APPEND_AUDIO


def _event_id(sent: Event | AppendAudio) -> object:
    return sent.get("event_id") if isinstance(sent, dict) else sent.event_id
