"""Who has the floor: when the model may be asked to speak about results.

The Realtime API lets one response at a time write to a conversation, starts one by itself when the user stops
speaking, and refuses a second with `conversation_already_has_active_response`. So a `response.create` of ours is
sent only while the slot is free, reserved from the moment it is sent, and freed by the *matching* `response.done`.
It is owed as long as some result is *unseen*: sent into the conversation, and not yet there when a response began.
A response that began after the server echoed the result has seen it, and nothing more is owed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SPEECH_HOLD_SECONDS = 30.0
"""Longer than anybody talks without a pause: after it a lost speech_stopped no longer silences the model."""
AUTO_RESPONSE_SECONDS = 1.5
"""How long after the user's turn the server's own response is waited for: it sees the results as well."""
RESERVED_SECONDS = 10.0
"""A response.create that neither began nor was refused by then is taken for lost."""
BLOCKED_SECONDS = 5.0
"""After a refusal without a response in sight, when to try again."""

REFUSED = "conversation_already_has_active_response"
OWED = ""
"""Stands among the results that are to be told for an answer that is no result."""


@dataclass(frozen=True, slots=True)
class Create:
    """A response.create on its way: it has neither begun a response nor been refused."""

    event_id: str
    sent_at: float
    tells: frozenset[str]
    """The results that were written before it."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A result that stands in the conversation, or is on its way there."""

    response_id: str | None
    """The response whose call it answers."""
    at: float


@dataclass(slots=True)
class Floor:
    """The response slot of one conversation. Times are seconds of any monotonic clock."""

    gather_seconds: float = 0.25
    auto_response: bool = True
    """The server answers the user's turn by itself (`turn_detection.create_response`)."""

    active: str | None = None
    _creates: list[Create] = field(default_factory=list)
    _begun: list[Create] = field(default_factory=list)
    """Creates that a response was taken for, the latest last; a refusal of one tells otherwise."""
    _blocked_until: float = 0.0
    _speaking_since: float | None = None
    _auto_until: float = 0.0
    _running: dict[str, str | None] = field(default_factory=dict)
    _unseen: dict[str, Landed] = field(default_factory=dict)
    _echoed: set[str] = field(default_factory=set)
    _assumed_seen: dict[str, Landed] = field(default_factory=dict)
    """Told by one of those, and not echoed before its response began."""

    def owe(self, now: float) -> None:
        """The user waits for an answer that an earlier epoch did not come to give."""
        self._unseen[OWED] = Landed(None, now)
        self._echoed.add(OWED)

    def unheard(self) -> frozenset[str]:
        """The calls whose results are in the conversation, or on their way, and untold."""
        return (frozenset(self._unseen) | frozenset(self._assumed_seen)) - {OWED}

    def is_owed(self, now: float) -> bool:
        """Somebody waits for a response: one runs, is asked for, or is about to begin by itself."""
        # A response that has called a function is answered by that function's result.
        speaks = self.active is not None and self.active not in self._running.values()
        return bool(speaks or self._creates or self._auto_until > now or OWED in self._unseen)

    @property
    def asked_at(self) -> float | None:
        """When the oldest response.create went out that has neither begun a response nor been refused."""
        return self._creates[0].sent_at if self._creates else None

    def is_quiet(self, now: float) -> bool:
        """Nobody speaks, and nobody is about to."""
        if self._speaking_since is not None and self._speaking_since + SPEECH_HOLD_SECONDS > now:
            return False
        creates = any(create.sent_at + RESERVED_SECONDS > now for create in self._creates)
        return not (self.active or creates or self._unseen or self._auto_until > now)

    @property
    def is_idle(self) -> bool:
        """No call is running whose answer this conversation waits for."""
        return not self._running

    def call_began(self, call_id: str, response_id: str | None) -> None:
        """An answer to this call of this response will come: a sibling's may wait for it a moment."""
        self._running[call_id] = response_id

    def result_landed(self, call_id: str, now: float) -> None:
        """A result was written into the conversation; somebody should speak about it."""
        self._unseen[call_id] = Landed(self._running.pop(call_id, None), now)

    def call_closed(self, call_id: str) -> None:
        """A call is over, and nothing is to be said about it."""
        self._running.pop(call_id, None)
        self._unseen.pop(call_id, None)
        self._assumed_seen.pop(call_id, None)

    def has_echoed(self, call_id: str) -> bool:
        """The server has shown that it has this result."""
        return call_id in self._echoed

    def result_echoed(self, call_id: str) -> bool:
        """The server has the result: responses that begin from now on see it. False where that is no news."""
        news = call_id not in self._echoed
        self._echoed.add(call_id)
        return news

    def create_sent(self, event_id: str, now: float) -> None:
        """A response.create went out, ours or the client's: the slot is taken from now on."""
        self._creates = [create for create in self._creates if create.sent_at + RESERVED_SECONDS > now]
        self._begun = [create for create in self._begun if create.sent_at + RESERVED_SECONDS > now]
        self._creates.append(Create(event_id, now, frozenset(self._unseen)))

    def create_refused(self, event_id: str | None, now: float) -> str | None:
        """The server has an active response already. Returns the event id of the create that it refused.

        Some servers leave out the event id: then it is the oldest create under way, or else the last that a response
        was taken for. None: no create is known to have been meant.
        """
        refused = self._withdraw(event_id)
        if self.active is None:
            self._blocked_until = now + BLOCKED_SECONDS
        return refused.event_id if refused else event_id

    def create_failed(self, event_id: str | None) -> None:
        """A create of the client's was refused for another reason: it takes no slot.

        One of ours keeps it until it is taken for lost, or it would be sent, and refused, again and again.
        """
        if event_id is not None:
            self._withdraw(event_id)

    def response_created(self, response_id: str) -> None:
        """A response began, whoever asked for it."""
        self.active = response_id
        for call in self._echoed:
            self._unseen.pop(call, None)
            self._assumed_seen.pop(call, None)
        self._echoed.discard(OWED)
        if self._creates:
            # Most likely it is the oldest create's, and saw all that was written before that one.
            self._begun.append(self._creates.pop(0))
            told = self._begun[-1].tells & self._unseen.keys()
            self._assumed_seen |= {call: self._unseen.pop(call) for call in told}
        self._auto_until = self._blocked_until = 0.0

    def response_done(self, response_id: str) -> None:
        """A response ended. That of an older one, which may come late, frees nothing."""
        self._blocked_until = 0.0
        if self.active == response_id:
            self.active = None

    def speech_started(self, now: float) -> None:
        """The user began to speak."""
        self._speaking_since = now

    def speech_stopped(self, now: float) -> None:
        """The user stopped; the server's own response is about to begin, if it makes one."""
        self._speaking_since = None
        if self.auto_response:
            self._auto_until = now + AUTO_RESPONSE_SECONDS

    def may_speak(self, now: float) -> bool:
        """True where a response.create should be sent at once."""
        return bool(self._unseen) and self.active is None and self._held_until() <= now

    def wake_at(self, now: float) -> float | None:
        """When to look again without an event having come; None: only an event can change anything."""
        if not self._unseen or self.active is not None:
            return None
        return max(now, self._held_until())

    def _withdraw(self, event_id: str | None) -> Create | None:
        for create in (*self._creates, *reversed(self._begun)):
            if event_id in (None, create.event_id):
                break
        else:
            return None
        if create in self._creates:
            self._creates.remove(create)
            return create
        # The response was somebody else's, then, and may not have seen what this create was to tell.
        self._begun.remove(create)
        for call in create.tells & self._assumed_seen.keys():
            self._unseen[call] = self._assumed_seen.pop(call)
        return create

    def _held_until(self) -> float:
        holds = [self._blocked_until, self._auto_until, self._gathered_at()]
        holds += [create.sent_at + RESERVED_SECONDS for create in self._creates]
        if self._speaking_since is not None:
            holds.append(self._speaking_since + SPEECH_HOLD_SECONDS)
        return max(holds)

    def _gathered_at(self) -> float:
        """When the first result has waited long enough for its siblings: the others go with it."""
        awaited = set(self._running.values())
        waits = (
            landed.at + (self.gather_seconds if landed.response_id in awaited else 0.0)
            for landed in self._unseen.values()
        )
        return min(waits, default=0.0)


def in_conversation(event: dict[str, Any]) -> bool:
    """An out-of-band response takes no slot; a server that names no conversation has only the one."""
    response = event.get("response") or {}
    return response.get("conversation_id", "") is not None
