"""Hearing: what the user hears of the model's responses, and the moments of the talk on the way.

A response that the client was sent is not heard yet: audio comes faster than it plays. What was played is known by one
of these, in this order (`ringback.jobs.states.HeardBy`):

    truncate   the client cut the response off, and said where
    report     the client says how much it has played, if it asked to (`?ringback=playback`); on a call, the server
    clock      neither: the response would have been played by now. An estimate
    unknown    the client has left before, or asked to report and did not

A response is *heard* once its first second was played, or all of it where it is shorter. The results that it was taken
to tell (`credits`) are heard with it. Nothing here decides what is said next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from gateway.conversation.actions import Action, KeepMoments, NoteTold
from gateway.conversation.call_table import Call, Stage
from gateway.conversation.turn_taking.slot import Active, By
from ringback.jobs.states import HeardBy
from ringback.moments import Moment, MomentKind
from ringback.statements.jobs.deliveries import Told

FIRST_PART_MS = 1_000.0
"""So much of a response, or all of it where it is shorter, has been heard: the user knows what it is about."""
CLOSE_ENOUGH_MS = 150.0
"""A response is played to its end so close to it: clients count in frames, and drop silence."""
GRACE_SECONDS = 1.0
"""How long a truncate is waited for that comes late: the client's word counts more than the clock."""
REPORT_SECONDS = 10.0
"""How long a report is waited for, from when a response should have been played. One that comes later changes nothing:
by then `unknown` was written, counted and posted, which stays true. A report says what was played, and not when."""
PLAYOUT_SECONDS = 5.0
"""On a call: how long after a response's end the server may begin to play it. Then it had no voice."""
PLAYED_SECONDS = 120.0
"""On a call: how long a response is played at most, if the server does not say when that ends."""
MAX_OPEN = 8
"""Responses of which it is not settled what was heard. Beyond it the oldest is settled by what is known."""


@dataclass(slots=True)
class Answer:
    """One response on its way to the user's ear. Times are seconds of the session's own clock.

    Args:
        calls: those whose results it was taken to tell as it began.
        before: seconds of audio that had been passed on by then, of all responses.
    """

    response: str
    began: float
    calls: list[Call]
    tells: bool
    before: float
    text_at: float | None = None
    spoke: float | None = None
    """When its first audio, or else its first text, went to the client."""
    plays_from: float = 0.0
    until: float = 0.0
    """When it is played to its end, by the clock; known once it has ended."""
    items: dict[str, float] = field(default_factory=dict)
    """Where the audio of each item begins, in milliseconds of the response."""
    has_ended: bool = False
    audio_ms: float | None = None
    cut_at: float | None = None
    """When the user began to speak over it, or the client stopped it."""
    truncated_ms: float | None = None
    reported_ms: float | None = None
    part_heard_at: float | None = None
    """When a report said that its first part was played."""
    is_played_there: bool = False
    """The server plays it to the user, and says when."""

    @property
    def over_at(self) -> float:
        """When the client plays no more of it, by the clock."""
        return self.until if self.cut_at is None else min(self.until, self.cut_at)

    def told(self) -> list[Call]:
        """Return the calls whose results it tells, as far as is known by now."""
        credited = [call for call in self.calls if call.credit is not None and call.credit.response == self.response]
        if self.has_ended:
            return [call for call in credited if call.stage is Stage.TOLD]
        return [call for call in credited if self.tells and call.credit is not None and call.credit.is_sure]

    def least_ms(self) -> float:
        """Return how much of it has to be played until it is heard."""
        return min(FIRST_PART_MS, FIRST_PART_MS if self.audio_ms is None else self.audio_ms - CLOSE_ENOUGH_MS)


@dataclass(slots=True)
class Hearing:
    """What the user of one session hears, through all its epochs.

    Args:
        reports: the client says how much it has played.
        epoch: of the conversation that is open.
        sounded: seconds of audio that were passed on in all.
        is_mute: the active response has made no sound yet; its first audio is looked at, and the rest passes.
    """

    reports: bool = False
    epoch: int = 0
    sounded: float = 0.0
    is_mute: bool = False
    why: str = "first"
    """Why the last epoch ended."""
    is_elsewhere: bool = False
    """The voice goes past the gateway, from the server to the user: the server says what it plays."""
    last_spoke: str | None = None
    """The response that began to speak last."""
    _answers: dict[str, Answer] = field(default_factory=dict)
    """Responses of which it is not settled what was heard, the oldest first."""
    _moments: list[Moment] = field(default_factory=list)
    _told: list[Told] = field(default_factory=list)

    def hears_by(self, *, reports: bool, is_elsewhere: bool) -> None:
        """Set how it is known what is played."""
        self.reports, self.is_elsewhere = reports, is_elsewhere

    # — the line —

    def opened(self, epoch: int, now: float, *, is_new_client: bool) -> None:
        """Note that a conversation is open."""
        self.epoch = epoch
        if is_new_client:
            self._note(MomentKind.CLIENT_CAME, now, detail="resumed" if self.why == "resumed" else "new")
        self._note(MomentKind.EPOCH_BEGAN, now, detail=self.why)

    def cut(self, reason: str, now: float, plays_until: float) -> None:
        """Note that the conversation is over, and the session is not. What is being said ends there."""
        for answer in [each for each in self._answers.values() if not each.has_ended]:
            answer.calls = []  # the next conversation tells their results
            self.ended(answer.response, reason, now, plays_until)
        self._note(MomentKind.EPOCH_ENDED, now, detail=reason)
        self.why = reason

    def left(self, reason: str, now: float) -> None:
        """Note that the client is gone: of what it was still playing it is not known what was heard."""
        for answer in list(self._answers.values()):
            if answer.has_ended:
                self._settle_by_what_is_known(answer, now, trusts_clock=answer.over_at <= now)
            else:
                self._settle(answer, None, HeardBy.UNKNOWN, now)
        self._note(MomentKind.CLIENT_LEFT, now, detail=reason)

    # — the user —

    def user_began(self, now: float, plays_until: float) -> None:
        """Note that the user began to speak, maybe while the model's voice was played."""
        self._note(MomentKind.USER_BEGAN, now)
        sounding = [each for each in self._answers.values() if each.spoke is not None and each.cut_at is None]
        if sounding and plays_until > now:
            left = None if sounding[-1].is_played_there else (plays_until - now) * 1_000
            self._note(MomentKind.BARGE_IN, now, sounding[-1].response, left)
        self.stopped(now)

    def user_ended(self, now: float, how: str, since: float | None = None) -> None:
        """Note that the user came to an end. `since`: when they began, where no event told it."""
        if since is not None:
            self._note(MomentKind.USER_BEGAN, since)
        self._note(MomentKind.USER_ENDED, now, detail=how)

    def user_typed(self, now: float) -> None:
        """Note a message of the user that was not spoken."""
        self._note(MomentKind.USER_TYPED, now)

    # — the model —

    def asked(self, by: By, now: float) -> None:
        """Note that a create goes out."""
        self._note(MomentKind.RESPONSE_ASKED, now, detail=by.name.lower())

    def began(self, active: Active, calls: Iterable[Call], now: float) -> None:
        """Note that a response began, and which results it is taken to tell."""
        if len(self._answers) >= MAX_OPEN:
            oldest = next(iter(self._answers.values()))
            self._settle_by_what_is_known(oldest, now, trusts_clock=oldest.has_ended)
        tells = active.by.tells_results
        with_rows = [call for call in calls if call.job_id is not None]
        self._answers[active.response] = Answer(active.response, now, with_rows, tells, self.sounded)
        self.is_mute = True
        self._note(MomentKind.RESPONSE_BEGAN, now, active.response, detail=active.by.name.lower())

    def item_began(self, response_id: str | None, item_id: str | None) -> None:
        """Note that what the response says from here on is this item's."""
        answer = self._answers.get(response_id or "")
        if answer is not None and item_id is not None:
            answer.items.setdefault(item_id, (self.sounded - answer.before) * 1_000)

    def worded(self, response_id: str, now: float) -> None:
        """Note the first words of a response, as text or as the transcript of its voice."""
        answer = self._answers.get(response_id)
        if answer is not None and answer.text_at is None:
            answer.text_at, self.last_spoke = now, response_id

    def voiced(self, response_id: str | None, active: Active | None, now: float, plays_from: float) -> None:
        """Note that a response is heard to speak: the active one's first audio is passed on, and plays from then."""
        if active is None or response_id not in (None, active.response):
            return
        self.is_mute = False
        answer = self._answers.get(active.response)
        if answer is None or answer.spoke is not None:
            return
        answer.spoke, answer.plays_from, self.last_spoke = now, plays_from, answer.response
        self._note(MomentKind.RESPONSE_SPOKE, now, answer.response, detail="audio")
        self._told += [self._telling(answer, call) for call in answer.told() if not active.is_cut]

    def ended(self, response_id: str, status: str, now: float, plays_until: float) -> None:
        """Note that a response is over, once it is settled which results it told."""
        answer = self._answers.get(response_id)
        if answer is None or answer.has_ended:
            return
        answer.has_ended = True
        if answer.is_played_there or (self.is_elsewhere and answer.spoke is None):
            answer.until = max(now, plays_until) if answer.spoke is not None else now + PLAYOUT_SECONDS
        elif answer.spoke is not None:
            answer.audio_ms, answer.until = (self.sounded - answer.before) * 1_000, max(now, plays_until)
        self._note(MomentKind.RESPONSE_ENDED, now, response_id, answer.audio_ms, status)
        if answer.spoke is None and answer.text_at is None:
            del self._answers[response_id]  # it has only called functions, or came to nothing
        elif answer.spoke is None and self.is_elsewhere:
            return  # its voice is played next
        elif answer.spoke is None:
            answer.spoke = answer.text_at
            self._note(MomentKind.RESPONSE_SPOKE, answer.spoke or now, response_id, detail="text")
            self._settle(answer, None, HeardBy.CLOCK, now)
        elif answer.truncated_ms is not None:
            self._settle(answer, answer.truncated_ms, HeardBy.TRUNCATE, now)
        elif answer.reported_ms is not None and answer.is_played_there:
            self._settle(answer, answer.reported_ms, HeardBy.REPORT, now)
        elif answer.reported_ms is not None:
            self._take_report(answer, answer.reported_ms, now)

    # — what the client plays —

    def stopped(self, now: float) -> None:
        """Note that the client plays no more of what was said so far."""
        for answer in self._answers.values():
            if answer.spoke is not None and answer.cut_at is None:
                answer.cut_at = now

    def truncated(self, item_id: str, audio_end_ms: float, now: float) -> None:
        """Note that the client has cut an item off, and played so much of it."""
        answer = self._of_item(item_id)
        if answer is None or answer.spoke is None:
            return
        answer.truncated_ms = answer.items[item_id] + audio_end_ms
        if answer.has_ended:
            self._settle(answer, answer.truncated_ms, HeardBy.TRUNCATE, now)

    def reported(self, item_id: str, played_ms: float, now: float) -> None:
        """Note that the client has played so much of an item."""
        answer = self._of_item(item_id)
        if answer is not None and answer.spoke is not None:
            self._take_report(answer, answer.items[item_id] + played_ms, now)

    # — what the server plays, on a call —

    def playout_began(self, response_id: str, now: float, *, is_cut: bool) -> None:
        """Note that the server has begun to play a response to the user."""
        self.is_mute = False
        answer = self._answers.get(response_id)
        if answer is None or answer.spoke is not None:
            return
        answer.spoke = answer.plays_from = now
        self.last_spoke = response_id
        answer.is_played_there, answer.until = True, now + PLAYED_SECONDS
        self._note(MomentKind.RESPONSE_SPOKE, now, response_id, detail="audio")
        self._told += [self._telling(answer, call) for call in answer.told() if not is_cut]

    def playout_ended(self, response_id: str, now: float, *, is_whole: bool) -> None:
        """Note that the server has played a response to its end, or stopped."""
        answer = self._answers.get(response_id)
        if answer is None or answer.spoke is None or not answer.is_played_there:
            return
        played_ms = (now - answer.plays_from) * 1_000
        if is_whole:
            answer.audio_ms = played_ms
        if answer.has_ended:
            self._settle(answer, played_ms, HeardBy.REPORT, now)
        else:
            answer.reported_ms = played_ms  # it was stopped before the end of the response was told

    # — what comes of it —

    @property
    def is_settled(self) -> bool:
        """True where it is known of every response what was heard, or that it cannot be known."""
        return not self._answers

    def wake_at(self) -> float:
        """Return when `take` has more to tell, if nothing happens before."""
        return min([self._due_at(each) for each in self._answers.values() if each.has_ended], default=inf)

    def take(self, now: float) -> list[Action]:
        """Return what is to be written by now, once."""
        for answer in [each for each in self._answers.values() if each.has_ended and self._due_at(each) <= now]:
            self._settle_by_what_is_known(answer, now, trusts_clock=True)
        if not (self._moments or self._told):
            return []
        moments, self._moments = self._moments, []
        told, self._told = self._told, []
        return [*([NoteTold(told)] if told else []), *([KeepMoments(moments)] if moments else [])]

    def _due_at(self, answer: Answer) -> float:
        return answer.over_at + (REPORT_SECONDS if self.reports else GRACE_SECONDS)

    def _of_item(self, item_id: str) -> Answer | None:
        return next((each for each in self._answers.values() if item_id in each.items), None)

    def _take_report(self, answer: Answer, played_ms: float, now: float) -> None:
        answer.reported_ms = max(played_ms, answer.reported_ms or 0.0)
        if answer.part_heard_at is None and answer.reported_ms >= answer.least_ms():
            answer.part_heard_at = now
        if answer.audio_ms is not None and answer.reported_ms >= answer.audio_ms - CLOSE_ENOUGH_MS:
            self._settle(answer, answer.reported_ms, HeardBy.REPORT, now)

    def _settle_by_what_is_known(self, answer: Answer, now: float, *, trusts_clock: bool) -> None:
        """Settle what was heard of a response although the client says no more about it."""
        if answer.truncated_ms is not None:
            self._settle(answer, answer.truncated_ms, HeardBy.TRUNCATE, now)
        elif answer.reported_ms is not None:
            self._settle(answer, answer.reported_ms, HeardBy.REPORT, now)
        elif answer.spoke is None and self.is_elsewhere:
            answer.spoke = answer.text_at  # the server played no voice: it was text
            self._settle(answer, None, HeardBy.CLOCK, at=now)
        elif self.reports or not trusts_clock or answer.spoke is None:
            self._settle(answer, None, HeardBy.UNKNOWN, now)
        else:
            played_ms = (answer.over_at - answer.plays_from) * 1_000
            self._settle(answer, max(0.0, played_ms), HeardBy.CLOCK, min(now, answer.over_at))

    def _settle(self, answer: Answer, played_ms: float | None, by: HeardBy, at: float) -> None:
        """Settle what was heard of a response, and with it of the results that it told."""
        del self._answers[answer.response]
        if played_ms is not None and answer.audio_ms is not None:
            played_ms = min(played_ms, answer.audio_ms)
        heard_at = None
        if answer.audio_ms is None and by is HeardBy.CLOCK:
            heard_at = at  # text takes no time to play
        elif played_ms is not None and played_ms >= answer.least_ms():
            by_clock = answer.plays_from + max(0.0, answer.least_ms()) / 1_000
            heard_at = min(at, by_clock) if answer.part_heard_at is None else answer.part_heard_at
        if answer.spoke is not None:
            self._note(MomentKind.RESPONSE_PLAYED, at, answer.response, played_ms, by)
            self._told += [self._telling(answer, call, heard_at, by, played_ms) for call in answer.told()]

    @staticmethod
    def _telling(
        answer: Answer,
        call: Call,
        heard_at: float | None = None,
        by: HeardBy | None = None,
        played_ms: float | None = None,
    ) -> Told:
        assert call.job_id is not None and answer.spoke is not None  # noqa: S101, PT018
        return Told(call.job_id, answer.response, answer.began, answer.spoke, heard_at, by, answer.audio_ms, played_ms)

    def _note(
        self,
        kind: MomentKind,
        at: float,
        response_id: str | None = None,
        ms: float | None = None,
        detail: str | None = None,
    ) -> None:
        self._moments.append(Moment(kind, at, self.epoch, response_id, ms, detail))
