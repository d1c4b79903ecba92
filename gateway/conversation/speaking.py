"""What is said in one conversation by our asking for it: results first, then a word about what is still running.

With it goes what the model is offered meanwhile: functions of our own, each only while there is something to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.conversation.actions import Action, Event, SendToClient, SendToModel
from gateway.conversation.clientside import ClientSide
from gateway.conversation.clienttools import ClientTools
from gateway.conversation.floor import RESERVED_SECONDS, Floor
from gateway.conversation.guard import Guard
from gateway.conversation.own import OwnTools
from gateway.conversation.view import response_cut
from gateway.conversation.words import Words


@dataclass(slots=True)
class Speaking:
    """Asks the model to speak, whenever that is due.

    Args:
        tools: all that the model is offered.
        ours: gives an event of ours its `event_id`; the first argument says what it is for.
    """

    floor: Floor
    words: Words
    own: OwnTools
    guard: Guard
    client: ClientSide
    tools: ClientTools
    ours: Callable[[str, Event], Event]

    def say(self, now: float) -> list[Action]:
        """All that is due now."""
        return [*self._offer(now), *self._results(now), *self._word(now)]

    def wake_at(self, now: float) -> float | None:
        """When `say` has something, if nothing else comes; None: only an event can tell."""
        moments = (self.floor.wake_at(now), self.words.wake_at(now), self.own.wake_at(now))
        return min((moment for moment in moments if moment is not None), default=None)

    def hangs_at(self, heard_at: float) -> float | None:
        """A server that was asked to speak and has not said a word since, about anything, is not there any more."""
        asked = self.floor.asked_at
        return None if asked is None or heard_at > asked else asked + RESERVED_SECONDS

    def hangs(self, heard_at: float, now: float) -> bool:
        """True where it is not there any more."""
        hangs_at = self.hangs_at(heard_at)
        return hangs_at is not None and hangs_at <= now

    def refused(self, event_id: object, again: bool) -> None:
        """The server did not take something of ours. A word takes no slot then, and is due again if it may be taken."""
        self.client.settings.refused(event_id)
        if self.words.refused(event_id, again=again):
            self.floor.create_failed(str(event_id))

    def cut(self, reason: str) -> list[Action]:
        """The connection is gone, and what was being said on it: a word is due again, and the client hears of it."""
        if self.floor.is_saying_word:
            self.words.unsaid()
        if self.floor.active is None:
            return []
        return [SendToClient(self.ours("cut", response_cut(self.floor.active, reason)))]

    def _results(self, now: float) -> list[Action]:
        if not self.floor.may_speak(now):
            return []
        # A model that goes round in circles is to use words now.
        response = {"response": {"tool_choice": "none"}} if self.guard.is_tripped(self.own.board.turn) else {}
        create = self.ours("speak", {"type": "response.create", **response})
        self.floor.create_sent(create["event_id"], now)
        return [SendToModel(create)]

    def _word(self, now: float) -> list[Action]:
        if self.floor.word_failed:
            self.floor.word_failed = False
            self.words.unsaid(only_questions=True)
        create = self.words.due(now)
        if create is None:
            return []
        self.floor.create_sent(create["event_id"], now, is_word=True)
        return [SendToModel(create)]

    def _offer(self, now: float) -> list[Action]:
        if self.own.offer(now) is None and not self.tools.is_outdated:
            return []
        session = {"type": "realtime", "tools": self.tools.offer()}
        update = self.ours("offer", {"type": "session.update", "session": session})
        self.client.settings.asked_ours(update)
        return [SendToModel(update)]
