"""Limits of a session: how long it may last and be idle; and what its responses cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from gateway.close_codes import ENDED
from gateway.conversation.actions import Action, CheckBudget, Close, Event, RecordUsage
from gateway.conversation.event_names import APPEND_AUDIO, ERROR
from gateway.upstream.events import ModelEvent, ResponseFinished, ResponseStarted
from ringback.agents.agent import Agent


@dataclass(slots=True)
class SessionLimits:
    """The bounds of one session, by the session's own clock.

    Args:
        began_at: when the session began, which may be in another process; None: with this conversation.
        lively_at: when the user last took part, or something ran for them; None: the conversation is not open yet.
    """

    agent: Agent
    began_at: float | None = None
    lively_at: float | None = None
    _turn: int = 0

    def began(self, now: float, lively_at: float | None, turn: int) -> None:
        """Start the clocks that no earlier epoch has started. A new epoch is no sign of life."""
        self.began_at = now if self.began_at is None else self.began_at
        self.lively_at, self._turn = now if lively_at is None else lively_at, turn

    def note_client(self, kind: str, now: float) -> None:
        """Note an event of the client as a sign of life, unless it is audio: that may be silence."""
        if kind != APPEND_AUDIO:
            self.lively_at = now

    def note_turn(self, turn: int, now: float) -> None:
        """Note a new turn of the user as a sign of life."""
        if turn != self._turn:
            self._turn, self.lively_at = turn, now

    def over(self, now: float, *, is_busy: bool) -> list[Action]:
        """Return the end of the session, if it has come. A session is not idle while a side speaks or a call runs."""
        if self.began_at is not None and now >= self.began_at + self.agent.max_session_seconds:
            return [end("too_long")]
        if self.lively_at is None or now < self.lively_at + self.agent.max_idle_seconds:
            return []
        if is_busy:
            self.lively_at = now
            return []
        return [end("idle")]

    def wake_at(self) -> float:
        """Return when `over` has to be asked."""
        if self.began_at is None or self.lively_at is None:
            return inf
        return min(self.began_at + self.agent.max_session_seconds, self.lively_at + self.agent.max_idle_seconds)


def costs(event: ModelEvent) -> list[Action]:
    """Return what a response that starts or ends means to the budget."""
    if type(event) is ResponseStarted:
        return [CheckBudget(str(event.response.id))]
    if type(event) is ResponseFinished:
        response = event.response
        usage = response.usage if isinstance(response.usage, dict) else {}  # a failed response may show none
        return [RecordUsage(str(response.id), usage, str(response.status))]
    return []


def end(reason: str) -> Close:
    """Return the end of the session, for this reason."""
    return Close(ENDED[reason], reason)


def spent(why: str, event_id: str) -> Event:
    """Return the error that tells the client, in the Realtime API's words for an account without credit."""
    error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": why, "param": None}
    return {"type": ERROR, "event_id": event_id, "error": {**error, "event_id": None}}
