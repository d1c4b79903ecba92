"""Scheduler of responses: it keeps the response slot and the user's state, and applies to them what happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.conversation.actions import Event
from gateway.conversation.call_table import CallTable
from gateway.conversation.turn_taking import slot as slots
from gateway.conversation.turn_taking import user as users
from gateway.conversation.turn_taking.credits import Credits
from gateway.conversation.turn_taking.hearing import Hearing
from gateway.conversation.turn_taking.pacing import PAUSE_SECONDS, Pacing
from gateway.conversation.turn_taking.slot import Active, Asked, By, Idle, Slot
from gateway.conversation.turn_taking.user import Silent, TurnTaken, User
from gateway.conversation.turns import UserTurns
from gateway.upstream.events import ModelEvent, ModelText

ACTIVE_SECONDS = 120.0
"""A response that is silent for so long is taken for dead: its `response.done` was lost."""
DYING_SECONDS = 5.0
"""The same, after an error that names no event: some servers end a response with that alone."""
MAX_KNOWN = 32
"""Responses of which late events are told from those of one that was never announced."""
MAX_WAITING = 8
"""Creates of the client that wait for the slot."""


@dataclass(slots=True)
class ResponseScheduler:
    """The state of one conversation's turn-taking. Times are seconds of any monotonic clock.

    Args:
        calls: the calls of the conversation.
        turns: the user's turns.
        gather_seconds: how long a result waits for the results of the same response.
        quiet_seconds: how long both sides must have been quiet for what is not urgent.
        hold_seconds: how long a late result waits for that at most.
        server_answers: the server answers the user's turn by itself (`turn_detection.create_response`).
        detects_turns: the server notices by itself when the user speaks (`turn_detection`).
        asks_aloud: a call that needs a yes is the user's to be asked about; False where the client is asked.
    """

    calls: CallTable
    turns: UserTurns
    gather_seconds: float = 0.25
    quiet_seconds: float = 1.0
    hold_seconds: float = 20.0
    server_answers: bool = True
    detects_turns: bool = True
    asks_aloud: bool = True

    slot: Slot = field(default_factory=Idle)
    user: User = field(default_factory=Silent)
    waiting: list[Event] = field(default_factory=list)
    """The client's creates that wait for the slot."""
    dead: list[str] = field(default_factory=list)
    """Responses of whose end no word came: their calls need not wait for it any longer."""
    owed_at: float | None = None
    """Since when the user waits for an answer that an earlier epoch did not come to give."""
    silent_since: float | None = None
    """When the first create was sent since which the server has been silent."""
    pacing: Pacing = field(default_factory=Pacing)
    hearing: Hearing = field(default_factory=Hearing)
    credits: Credits = field(init=False)
    spoke_at: float = 0.0
    user_spoke_at: float = 0.0
    plays_until: float = 0.0
    """When the user will have heard what the model has said: audio comes faster than it plays."""
    _client_create: Event | None = None
    """The client's create that went out last."""
    _lost: list[Event] = field(default_factory=list)
    """The client's creates that went out since `silent_since`, and were taken for lost."""
    _latest: Asked | None = None
    """The last create that is under way no more: its refusal, or its response, may come late."""
    _outlived: Active | None = None
    """The response before the active one, as long as its end was not told."""
    _given_up: Active | None = None
    """The last response that was taken for dead: it may come back."""
    _known: list[str] = field(default_factory=list)
    """The responses that were announced last, in the conversation or outside of it."""
    _names_creates: bool = False
    """The server shows the metadata of a create in its response: one without ours is no filler of the gateway's."""

    def __post_init__(self) -> None:
        self.credits = Credits(self.calls)

    # — what is sent —

    def send(self, create: str, by: By, now: float, about: frozenset[str] | None = None) -> None:
        """Note that a create goes out. `about`: the calls that it is about; by default all with untold results."""
        about = frozenset(call.call_id for call in self.calls.untold()) if about is None else about
        self.credits.close(self._latest.create if self._latest is not None else None)
        self.hearing.asked(by, now)
        self._apply(slots.CreateSent(Asked(create, by, now, now + self.pacing.create_seconds, about)))
        if self.silent_since is None:
            self.silent_since, self._lost = now, []

    def send_clients(self, now: float) -> Event:
        """Send the first create of the client that waits; return it."""
        self._client_create = self.waiting.pop(0)
        self.send(self._client_create["event_id"], By.CLIENT, now)
        return self._client_create

    def gives_way(self) -> bool:
        """Return True once where an active filler or question stands in the way of the client's create."""
        slot = self.slot
        if not (self.waiting and isinstance(slot, Active)) or slot.by.tells_results or slot.is_cut:
            return False
        self.slot = replace(slot, is_cut=True)
        return True

    def client_stops(self, response_id: str | None, now: float) -> None:
        """Note that the client cancels the active response, or the one that it names."""
        active = self.slot
        if isinstance(active, Active) and response_id in (None, active.response) and not active.is_cut:
            self.slot = replace(active, is_stopped=True)
            self.hearing.stopped(now)

    # — what the server says —

    def heard(self, event: ModelEvent, now: float) -> None:
        """Note any event: the connection is alive, and so is the response that it names."""
        self.silent_since = None
        response_id = event.response_id
        if response_id is None:
            return
        if self._given_up is not None and response_id == self._given_up.response and isinstance(self.slot, Idle):
            self.slot, self._given_up = self._given_up, None
            self.credits.came_back()
        if isinstance(self.slot, Active) and response_id == self.slot.response:
            self._hear_response(now, is_heard=type(event) is ModelText)

    def heard_audio(self, seconds: float, now: float) -> bool:
        """Note so many more seconds of the model's speech on their way to the user; return False if there are none."""
        if seconds <= 0.0:
            return False
        self.silent_since = None
        self.plays_until = max(self.plays_until, now) + seconds
        self.hearing.sounded += seconds
        self._hear_response(now, is_heard=True)
        return True

    def playout_began(self, response_id: str, now: float) -> None:
        """Note that the server plays this response to the user itself. It says when that ends."""
        self.plays_until = now + ACTIVE_SECONDS
        self._hear_response(now, is_heard=self.is_active(response_id))
        self.hearing.playout_began(response_id, now, is_cut=getattr(self.slot, "is_cut", False))

    def playout_ended(self, response_id: str, now: float, *, is_whole: bool) -> None:
        """Note that the server plays no more of this response."""
        self.plays_until = self.spoke_at = now
        self.hearing.playout_ended(response_id, now, is_whole=is_whole)

    def knows(self, response_id: str) -> bool:
        """Return True for a response that was announced."""
        return response_id in self._known

    def heard_text(self, response_id: str | None, now: float, *, is_words: bool = True) -> bool:
        """Note text, or no words, of the active response, or the user's (None); return False if it is another's."""
        if response_id is not None:
            if not self.is_active(response_id):
                return False
            self._hear_response(now, is_heard=is_words)
        self.silent_since = None
        return True

    def began(self, response_id: str, mark: str | None, now: float) -> bool:
        """Note that a response began. `mark` is the event id of a create that it names.

        Return True if the gateway asked for it, and must cancel it: by now the user speaks, or the client waits.
        """
        self._known = [*self._known, response_id][-MAX_KNOWN:]
        self._names_creates = self._names_creates or mark is not None
        asked = self.slot if isinstance(self.slot, Asked) else None
        named = next((each for each in (asked, self._latest) if each is not None and each.create == mark), None)
        is_servers = self._names_creates and mark is None and asked is not None and not asked.by.tells_results
        if isinstance(self.slot, Active):
            if self._outlived is not None:
                self._lose(self._outlived, now)
            self._outlived = self.slot
        self._apply(slots.ResponseBegan(response_id, now, now + ACTIVE_SECONDS, named, is_servers))
        active = self.slot
        assert isinstance(active, Active)  # noqa: S101
        if active.create is not None:
            self.pacing.note_create(now - active.asked)
        elif isinstance(self.user, TurnTaken):
            self.pacing.note_answer(now - self.user_spoke_at)
        self.hearing.began(active, self.credits.began(active), now)
        self.owed_at = None if active.by.tells_results else self.owed_at
        talks = users.is_talking(self.user, now)
        self.user = users.advance(self.user, users.Answered())
        if active.by.is_ours and talks:
            self.slot = replace(active, is_cut=True)
            return True
        return self.gives_way()

    def is_active(self, response_id: str) -> bool:
        """Return True for the response that has the slot."""
        return isinstance(self.slot, Active) and self.slot.response == response_id

    def note_out_of_band(self, response_id: str) -> None:
        """Note that a response began outside the conversation: it takes no slot."""
        self._known = [*self._known, response_id][-MAX_KNOWN:]

    def is_unannounced(self, response_id: object, *, has_ended: bool = False) -> bool:
        """Return True for a response that is at work although the server has not said `response.created`.

        `has_ended`: its end is the first that is heard of it.
        """
        if not isinstance(response_id, str) or response_id in self._known:
            return False
        return isinstance(self.slot, Asked) or not has_ended

    def ended(self, response_id: str, status: str, now: float) -> None:
        """Note that a response is over. The end of an older one may come late, and frees no slot."""
        known = [each for each in (self.slot, self._outlived, self._given_up) if isinstance(each, Active)]
        ends = next((each for each in known if each.response == response_id), None)
        if ends is not None and ends is self._given_up:
            self.credits.came_back()
        self._apply(slots.ResponseEnded(response_id))
        if ends is not None:
            self._settle(ends, status, now)

    def refused(self, create: str | None, now: float) -> tuple[str | None, bool]:
        """Note that the server has a response already, and took no create.

        Return the event id of the create that it meant, and whether that is settled here: the gateway asks again, and
        the client's own, where the gateway's was in the way, waits for the slot once more.
        """
        meant, before = self._meant(create), self.slot
        self._apply(slots.CreateRefused(meant.create if meant else create, now + PAUSE_SECONDS))
        if meant is None:
            return create, False
        self.credits.refused(meant.create)
        in_the_way = isinstance(before, Active) and before.by.is_ours
        return meant.create, meant.by.is_ours or (in_the_way and self._waits_again())

    def held(self, create: str | None, now: float, pause: float) -> tuple[str | None, bool]:
        """Note that it took none as a call has no output; return the same. Without a create, the user's turn waits."""
        meant = slots.under_way(self.slot)
        if meant is None or create not in (None, meant.create):
            self.owed_at = now if create is None else self.owed_at
            return create, create is None
        self._apply(slots.CreateRefused(meant.create, now + pause))
        self.credits.refused(meant.create)
        return meant.create, meant.by.is_ours or self._waits_again()

    def _waits_again(self) -> bool:
        """Put the client's create, which was refused for what is the gateway's, before those that wait for the slot."""
        if self._client_create is None:
            return False
        self.waiting.insert(0, self._client_create)
        return True

    def failed(self, create: str, now: float) -> None:
        """Note that the server refused this create for another reason."""
        meant = self._meant(create)
        if meant is None:
            return
        self._apply(slots.ResponseFailed(create))
        self.credits.refused(create)
        if meant.by is By.FILLER:
            self.credits.say_said(meant.about, meant.at)
        elif meant.by.is_ours:
            self.pacing.failed(now)

    def note_error(self, now: float) -> None:
        """Wait less for the active response after an error that names no event: it may be all that tells its end."""
        if isinstance(self.slot, Active):
            self.slot = replace(self.slot, until=min(self.slot.until, now + DYING_SECONDS))

    # — what the user does —

    def user_began(self, now: float) -> None:
        """Note that the user began to speak: the model's speech stops."""
        self.user = users.advance(self.user, users.Started(now))
        self.hearing.user_began(now, self.plays_until)
        self.client_cut(now)

    def user_ended(self, now: float, *, is_servers: bool) -> None:
        """Note that the user came to an end. `is_servers`: the server heard so, and may answer by itself."""
        self.spoke_at = self.user_spoke_at = now
        is_servers = is_servers and self.server_answers
        until = now + self.pacing.answer_seconds(is_servers=is_servers)
        self.user = users.advance(self.user, users.CameToEnd(until, is_servers))

    def client_cut(self, now: float) -> None:
        """Note that the client plays no more of what the model has said."""
        self.plays_until = min(self.plays_until, now)

    def client_will_ask(self, now: float) -> None:
        """Wait for the client's create, after its typed message or its function's result."""
        self.user_spoke_at = now
        if not users.is_talking(self.user, now):
            self.user = users.advance(self.user, users.CameToEnd(now + users.CLIENT_ASKS_SECONDS, False))

    def user_appended(self, now: float) -> None:
        """Note that the client appended audio. Mostly it changes nothing, fifty times a second."""
        if not self.detects_turns or type(self.user) is not Silent:
            self.user = users.advance(self.user, users.Appended(now, is_held=not self.detects_turns))

    def user_muted(self) -> None:
        """Note that appended audio was thrown away, or turn detection went off."""
        self.user = users.advance(self.user, users.Cleared())

    # — the clock —

    def expire(self, now: float) -> None:
        """Give up what has not come in time."""
        given_up = self.slot
        if isinstance(given_up, Idle) or given_up.until > now:
            return
        self._apply(slots.CreateLost())
        if isinstance(given_up, Active):
            self._given_up = given_up
            self.dead.append(given_up.response)
            self.credits.gave_up(given_up)
            self._settle(given_up, "failed", now)
        elif given_up.by is By.CLIENT and self.silent_since is not None and self._client_create is not None:
            self._lost.append(self._client_create)

    @property
    def quiet_at(self) -> float:
        """From when on both sides have been quiet for long enough, if neither begins again."""
        return max(self.spoke_at, self.plays_until) + self.quiet_seconds

    def is_quiet(self, now: float) -> bool:
        """Return True where neither side speaks or is about to."""
        taken = not isinstance(self.slot, Idle) or bool(self.waiting) or self.owed_at is not None
        return not (taken or users.busy_until(self.user) > now or self.calls.untold())

    def is_owed(self, now: float) -> bool:
        """Return True where the user waits for a response: one is active, asked for, or about to begin by itself."""
        waits = self.owed_at is not None
        if isinstance(self.user, TurnTaken):
            waits = waits or (self.user.is_servers and self.user.until > now)
        match self.slot:
            case Asked(by=by):
                waits = waits or by is By.RESULTS
            case Active(by=by, response=response):
                # A response that has called a function is answered by that function's result.
                waits = waits or (by.tells_results and not self.calls.of_response(response))
        return waits

    def client_creates(self) -> list[Event]:
        """Return the client's creates that no response has answered yet, for the next epoch."""
        creates = list(self._lost) if self.silent_since is not None else []
        if isinstance(self.slot, Asked) and self.slot.by is By.CLIENT and self._client_create is not None:
            creates.append(self._client_create)
        return [*creates, *self.waiting]

    # — inside —

    def _apply(self, event: slots.SlotEvent) -> None:
        before, self.slot = slots.under_way(self.slot), slots.advance(self.slot, event)
        after = slots.under_way(self.slot)
        if before is not None and (after is None or after.create != before.create):
            self._latest = before

    def _meant(self, create: str | None) -> Asked | None:
        """Return the create that a refusal means: the one that it names, else the one under way or the last."""
        known = [each for each in (slots.under_way(self.slot), self._latest) if each is not None]
        return next((each for each in known if create in (None, each.create)), None)

    def _settle(self, active: Active, status: str, now: float) -> None:
        """Settle what a response was about, as it ended."""
        has_failed, is_short = status == "failed", status in ("cancelled", "incomplete") and not active.is_heard
        was_said = not has_failed and not active.is_cut and not is_short
        self.credits.ended(active, was_said=was_said or active.is_stopped)
        self.hearing.ended(active.response, status, now, self.plays_until)
        outlived, self._outlived = self._outlived, None
        if outlived is not None and outlived is not active:
            self._lose(outlived, now)
        self.spoke_at = now
        if active.by is By.FILLER:
            self.credits.say_said(active.about, active.asked)
        if was_said:
            self.credits.question_heard(active, self.turns.number)
            self.pacing.succeeded()
        elif outlived is not active and (has_failed or not (active.is_cut or users.busy_until(self.user) > now)):
            self.pacing.failed(now)  # neither the gateway nor the user's voice cut it off; and no other has begun since

    def _lose(self, outlived: Active, now: float) -> None:
        """Give up a response whose end is not told any more: another has begun and ended since, or two have begun."""
        self.dead.append(outlived.response)
        self.credits.ended(outlived, was_said=outlived.is_heard and not outlived.is_cut)
        self.hearing.ended(outlived.response, "lost", now, self.plays_until)

    def _hear_response(self, now: float, *, is_heard: bool) -> None:
        active = self.slot
        if not isinstance(active, Active):
            return
        if is_heard and not active.is_heard:
            self.slot = active = replace(active, is_heard=True)
            self.hearing.worded(active.response, now)
            self.credits.question_heard(active, self.turns.number)
        if now + ACTIVE_SECONDS - active.until > 1.0:  # a frozen record for each frame of audio would cost
            self.slot = replace(active, until=now + ACTIVE_SECONDS)
