"""End of a phone call that the model has asked for: it waits until the caller has heard what there is to hear.

The model says goodbye and calls `end_call`, or `transfer_call`, often in one response. The call goes on until

    the model has said something since it was asked; if not, it is asked to
    every result that is there was told, and no response is under way
    all that was said is played to its end, as far as is known (`hearing`)

If the caller speaks first, the call goes on, and the model may ask again.

What is pending outlives its connection: the next conversation of this process is given it. A gateway that takes the
call over finds in the rows that the model has asked. What the caller has heard it cannot know: the model is asked for
its last words again, and the call ends behind them. A transfer may be under way at the carrier: it is not repeated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.close_codes import ENDED
from gateway.conversation.actions import Action, Close, TransferCall
from gateway.conversation.turn_taking import user as users
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turn_taking.slot import Idle

END_SECONDS = 45.0
"""How long the end of a call waits. A goodbye is shorter, and a caller who hears nothing should not pay for it."""

TAIL_SECONDS = 0.5
"""What the network holds of the last words when they should have been heard."""


@dataclass(frozen=True, slots=True)
class WantedEnd:
    """What was asked for: a transfer to this address, or the end; by which response, when, and in which turn.

    `spoke_before` is the response that had spoken last by then.
    """

    target: str | None
    response: str | None
    at: float
    turn: int
    spoke_before: str | None

    def has_words(self, spoke_last: str | None) -> bool:
        """Return True if the response that asked has spoken, or one since."""
        return spoke_last is not None and (spoke_last == self.response or spoke_last != self.spoke_before)


@dataclass(slots=True)
class CallEnd:
    """End of one call. Times are seconds of the session's own clock.

    Args:
        wanted: what the model has asked for, and what has not come yet.
        has_lost_transfer: an earlier gateway was asked for a transfer, and what came of it is not known.
    """

    scheduler: ResponseScheduler
    wanted: WantedEnd | None = None
    has_lost_transfer: bool = False
    _is_transferring: bool = False
    _asked_for_words: bool = False

    @property
    def is_pending(self) -> bool:
        """True from when the model has asked until the call has ended, or goes on."""
        return self.wanted is not None or self._is_transferring

    def ask(self, target: str | None, response: str | None, now: float) -> None:
        """Note that the model wants the call to end, or to be transferred to `target`."""
        scheduler, self._asked_for_words = self.scheduler, False
        self.wanted = WantedEnd(target, response, now, scheduler.turns.number, scheduler.hearing.last_spoke)

    def due(self, now: float) -> list[Action]:
        """Return the end of the call, if its time has come."""
        wanted = self.wanted
        if wanted is None:
            return []
        if self.scheduler.turns.number != wanted.turn:
            self.wanted = None  # the caller has spoken
            return []
        if now < wanted.at + END_SECONDS and self._ends_at(wanted, now) > now:
            self._ask_for_words(wanted, now)
            return []
        self.wanted, self._is_transferring = None, wanted.target is not None
        ended = Close(ENDED["call_ended"], "call_ended")
        return [ended if wanted.target is None else TransferCall(wanted.target)]

    def transfer_failed(self) -> None:
        """Note that the call goes on behind its transfer."""
        self._is_transferring = False

    def remember(self, *, is_transfer: bool, response: str | None, now: float) -> None:
        """Note what the model has asked an earlier gateway for, the newest first: it is still to come."""
        if self.is_pending or self.has_lost_transfer:
            return
        if is_transfer:
            self.has_lost_transfer = True
        else:
            self.ask(None, response, now)

    def take_lost_transfer(self) -> bool:
        """Return True once if the model has to be told that a transfer was lost."""
        was_lost, self.has_lost_transfer = self.has_lost_transfer, False
        return was_lost

    def wake_at(self, now: float) -> float:
        """Return when `due` has something, if no event comes first."""
        wanted = self.wanted
        return math.inf if wanted is None else min(self._ends_at(wanted, now), wanted.at + END_SECONDS)

    def _ends_at(self, wanted: WantedEnd, now: float) -> float:
        """Return when the call may end, as far as is known; infinity where only an event can tell."""
        has_words = wanted.has_words(self.scheduler.hearing.last_spoke) or self._asked_for_words
        if not (has_words and self._is_told(now) and self.scheduler.hearing.is_settled):
            return math.inf
        return self.scheduler.plays_until + TAIL_SECONDS

    def _is_told(self, now: float) -> bool:
        """Return True if neither side speaks, or is about to."""
        scheduler = self.scheduler
        speaks = not isinstance(scheduler.slot, Idle) or users.is_talking(scheduler.user, now)
        return not (speaks or scheduler.waiting or scheduler.calls.untold() or scheduler.owed_at is not None)

    def _ask_for_words(self, wanted: WantedEnd, now: float) -> None:
        """Have the model speak, once, if it has said nothing."""
        if self._is_told(now) and not (self._asked_for_words or wanted.has_words(self.scheduler.hearing.last_spoke)):
            self._asked_for_words, self.scheduler.owed_at = True, now
