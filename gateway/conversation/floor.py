"""Who has the floor: when the model may be asked to speak about results.

The Realtime API lets one response at a time write to a conversation, starts one by itself when the user stops
speaking, and refuses a second with `conversation_already_has_active_response`. So a `response.create` of ours is
sent only while the slot is free, reserved from the moment it is sent, and freed by the *matching* `response.done`.
It is owed as long as some result is *unseen*: sent into the conversation, and not yet there when a response began.
A response that began after the server echoed the result has seen it, and nothing more is owed.

A result that comes late, after the user has said something else, is *patient*: it waits until both sides have been
quiet for a while, or until it has waited for long enough. A *word* is a response of ours that tells no result ("still
looking"): it takes the slot like any other, and only when nothing else is to be said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gateway.conversation.landed import Create, Landed

SPEECH_HOLD_SECONDS = 30.0
"""Longer than anybody talks without a pause: after it a lost speech_stopped no longer silences the model."""
AUTO_RESPONSE_SECONDS = 1.5
"""How long after the user's turn the server's own response is waited for: it sees the results as well."""
RESERVED_SECONDS = 10.0
"""A response.create that neither began nor was refused by then is taken for lost."""
BLOCKED_SECONDS = 5.0
"""After a refusal without a response in sight, or a response that failed, when to try again."""

REFUSED = "conversation_already_has_active_response"
OWED = ""
"""Stands among the results that are to be told for an answer that is no result."""


@dataclass(slots=True)
class Floor:
    """The response slot of one conversation. Times are seconds of any monotonic clock."""

    gather_seconds: float = 0.25
    quiet_seconds: float = 1.0
    hold_seconds: float = 20.0
    auto_response: bool = True
    """The server answers the user's turn by itself (`turn_detection.create_response`)."""

    active: str | None = None
    _word: str | None = None
    _there_at_word: frozenset[str] = frozenset()
    """What the server had when that response began: if it is no word after all, it tells these."""
    _tags_come_back: bool = False
    """The server shows the metadata of a response.create in what it makes of it: then a word is known for one."""
    _spoke_at: float = 0.0
    """When either side last came to an end, by the server's word."""
    _user_spoke_at: float = 0.0
    _plays_until: float = 0.0
    """When the user will have heard what the model has said: audio comes faster than it plays."""
    _creates: list[Create] = field(default_factory=list)
    _begun: list[Create] = field(default_factory=list)
    """Creates that a response was taken for, the latest last; a refusal of one tells otherwise."""
    _blocked_until: float = 0.0
    _speaking_since: float | None = None
    _auto_until: float = 0.0
    _running: dict[str, str | None] = field(default_factory=dict)
    _unseen: dict[str, Landed] = field(default_factory=dict)
    _echoed: set[str] = field(default_factory=set)
    _telling: dict[str, Landed] = field(default_factory=dict)
    """What the active response is the first to tell."""
    word_failed: bool = False
    """The last word was not said: its response failed."""
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
        speaks = self.active not in (None, self._word, *self._running.values())
        asked = any(not create.is_word for create in self._creates)
        return bool(speaks or asked or self._auto_until > now or OWED in self._unseen)

    @property
    def asked_at(self) -> float | None:
        """When the oldest response.create went out that has neither begun a response nor been refused."""
        return self._creates[0].sent_at if self._creates else None

    def is_quiet(self, now: float) -> bool:
        """Nobody speaks, and nobody is about to."""
        if self._speaking_since is not None and self._speaking_since + SPEECH_HOLD_SECONDS > now:
            return False
        asked = any(create.sent_at + RESERVED_SECONDS > now for create in self._creates)
        return not (self.active or asked or self._unseen or self._auto_until > now)

    @property
    def is_saying_word(self) -> bool:
        """A word of ours is being said, or was asked for."""
        return self._word is not None or any(create.is_word for create in self._creates)

    @property
    def is_idle(self) -> bool:
        """No call is running whose answer this conversation waits for."""
        return not self._running

    def call_began(self, call_id: str, response_id: str | None) -> None:
        """An answer to this call of this response will come: a sibling's may wait for it a moment."""
        self._running[call_id] = response_id

    def result_landed(self, call_id: str, now: float, *, is_patient: bool = False) -> None:
        """A result was written into the conversation; somebody should speak about it."""
        self._unseen[call_id] = Landed(self._running.pop(call_id, None), now, is_patient)

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

    def create_sent(self, event_id: str, now: float, *, is_word: bool = False, is_clients: bool = False) -> None:
        """A response.create went out, ours or the client's: the slot is taken from now on."""
        self._creates = [create for create in self._creates if create.sent_at + RESERVED_SECONDS > now]
        self._begun = [create for create in self._begun if create.sent_at + RESERVED_SECONDS > now]
        self._creates.append(Create(event_id, now, frozenset(self._unseen), is_word, is_clients))

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
        """A create of the client's, or a word, was refused for another reason: it takes no slot.

        Any other of ours keeps it until it is taken for lost, or it would be sent, and refused, again and again.
        """
        if event_id is not None:
            self._withdraw(event_id)

    def response_created(self, response_id: str, tag: str | None = None) -> bool:
        """A response began, whoever asked for it; `tag` is the event id of the word that it says it is.

        True: it is ours, and the user has begun to speak meanwhile. It must not go on; what it was to tell is untold.
        """
        self.active = response_id
        self._auto_until = self._blocked_until = 0.0
        if self._begins_word(tag):
            self._word, self._there_at_word, self._telling = response_id, frozenset(self._echoed), {}
            self.word_failed = self._speaking_since is not None
            return self.word_failed
        untold = dict(self._unseen)
        self._seen(self._echoed)
        self._echoed.discard(OWED)
        creates = [create for create in self._creates if not create.is_word]
        if creates:
            # Most likely it is the oldest create's, and saw all that was written before that one.
            self._creates.remove(creates[0])
            self._begun.append(creates[0])
            told = creates[0].tells & self._unseen.keys()
            self._assumed_seen |= {call: self._unseen.pop(call) for call in told}
        self._telling = {call: landed for call, landed in untold.items() if call not in self._unseen}
        if self._speaking_since is None or not creates or creates[0].is_clients:
            return False
        self._unseen |= self._telling
        self._telling = {}
        return True

    def response_done(self, response_id: str, now: float, *, failed: bool = False) -> None:
        """A response ended. That of an older one, which may come late, frees nothing.

        One that `failed` has told nothing: after a pause another may.
        """
        self._blocked_until = 0.0
        if self.active != response_id:
            return
        if failed:
            self._blocked_until, self.word_failed = now + BLOCKED_SECONDS, self._word == response_id
            self._tell_again()
        self.active = self._word = None
        self._telling = {}
        self._spoke_at = now

    def audio_passed(self, seconds: float, now: float) -> None:
        """So much more speech of the model's is on its way to the user's ears."""
        self._plays_until = max(self._plays_until, now) + seconds

    def speech_started(self, now: float) -> None:
        """The user began to speak; what the model was saying stops."""
        self._speaking_since = now
        self._plays_until = min(self._plays_until, now)

    def speech_stopped(self, now: float) -> None:
        """The user stopped; the server's own response is about to begin, if it makes one."""
        self._speaking_since = None
        self._spoke_at = self._user_spoke_at = now
        if self.auto_response:
            self._auto_until = now + AUTO_RESPONSE_SECONDS

    def may_speak(self, now: float) -> bool:
        """True where a response.create should be sent at once."""
        return bool(self._unseen) and self.active is None and self._held_until() <= now

    def free_at(self, now: float, *, is_urgent: bool = False) -> float | None:
        """When a word may be said, an urgent one right behind the model's; None: only an event can tell."""
        if self._unseen or self.active is not None:
            return None
        urgently = max(self._plays_until, self._user_spoke_at + self.quiet_seconds)
        return max(now, self._taken_until(), urgently if is_urgent else self._quiet_from())

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
        if create.is_word:
            self._word = None
            self._seen(self._there_at_word)
        for call in create.tells & self._assumed_seen.keys():
            self._unseen[call] = self._assumed_seen.pop(call)
        return create

    def _begins_word(self, tag: str | None) -> bool:
        """True where the response that begins is a word of ours; its create is over then."""
        self._tags_come_back = self._tags_come_back or tag is not None
        words = [create for create in self._creates if create.is_word]
        if tag is not None:
            self._creates = [create for create in self._creates if create.event_id != tag]
            return True
        # A server that keeps the metadata to itself: most likely it is the oldest create's.
        if self._tags_come_back or not words or words[0] is not self._creates[0]:
            return False
        self._creates.remove(words[0])
        self._begun.append(words[0])
        return True

    def _tell_again(self) -> None:
        for call, landed in self._telling.items():
            if not landed.is_retold:
                self._assumed_seen.pop(call, None)
                self._unseen[call] = replace(landed, is_retold=True)
                if call == OWED:
                    self._echoed.add(OWED)

    def _seen(self, calls: Iterable[str]) -> None:
        """A response that tells results began, and the server had these."""
        for call in calls:
            self._unseen.pop(call, None)
            self._assumed_seen.pop(call, None)

    def _held_until(self) -> float:
        return max(self._taken_until(), min(map(self._due_at, self._unseen.values()), default=0.0))

    def _taken_until(self) -> float:
        """Until when nobody of ours may speak: somebody does, is about to, or was refused just now."""
        holds = [self._blocked_until, self._auto_until, *(one.sent_at + RESERVED_SECONDS for one in self._creates)]
        if self._speaking_since is not None:
            holds.append(self._speaking_since + SPEECH_HOLD_SECONDS)
        return max(holds)

    def _quiet_from(self) -> float:
        """From when on both sides have been quiet for long enough, if neither begins again."""
        return max(self._spoke_at, self._plays_until) + self.quiet_seconds

    def _due_at(self, landed: Landed) -> float:
        """When this result should be told: the others go with it."""
        if landed.is_patient:
            return min(landed.at + self.hold_seconds, max(landed.at, self._quiet_from()))
        gathers = landed.response_id in self._running.values()
        return landed.at + (self.gather_seconds if gathers else 0.0)
