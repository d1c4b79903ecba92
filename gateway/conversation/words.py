"""What is said while something is still running: a word of ours, which tells no result.

It is a response like any other: in the conversation, so that the user can talk over it, and with no function to call.
It is asked for only while nobody speaks and nothing else is to be told. Times are seconds of the session's clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event
from gateway.conversation.board import Board, Running
from gateway.conversation.floor import Floor
from gateway.policy import OUR_MARK

MAX_TOLD_CHARS = 1_000
"""Of the arguments that the user is asked about: nobody listens to more, and instructions have a bound of their own."""
SOON_SECONDS = 5
"""An expected wait is told in steps of so many seconds: it is a guess."""


Told = list[tuple[Running, float | None, float | None]]
"""The calls that a word is about, and when each was told and asked about before."""


@dataclass(slots=True)
class Words:
    """Says in one conversation what its running calls want said.

    Args:
        floor: when somebody may speak.
        board: what is running.
        instructions: the agent's own: those of a response replace the session's (Realtime API, response.create).
        ours: gives an event of ours its `event_id`; the first argument says what it is for.
        asks_aloud: True where a call that needs a yes is the user's to be asked about.
    """

    floor: Floor
    board: Board
    instructions: str
    ours: Callable[[str, Event], Event]
    asks_aloud: bool = True
    _under_way: dict[str, Told] = field(default_factory=dict)
    """What the last word was to tell, and what had been told of it before."""

    def wake_at(self, now: float) -> float | None:
        """When `due` has something, if nothing else comes; None: only an event can tell."""
        return min((moment for _, moment in self._moments(now)), default=None)

    def due(self, now: float) -> Event | None:
        """The `response.create` of the word that is to be said now; None where none is."""
        meant = [each for each, moment in self._moments(now) if moment <= now]
        if not meant:
            return None
        asked = [each for each in meant if each.waits_for_yes]
        text = _question(asked) if asked else _waiting(meant, now)
        told = asked or meant
        create = self.ours("word", {"type": "response.create"})
        self._under_way = {create["event_id"]: [(each, each.told_at, each.asked_at) for each in told]}
        for each in told:
            each.told_at = now
            if each.waits_for_yes:
                each.asked_at, each.asked_in_turn = now, self.board.turn
        response = {
            "instructions": f"{self.instructions.strip()}\n\n{text}",
            "tool_choice": "none",
            "metadata": {OUR_MARK: create["event_id"]},
        }
        return {**create, "response": response}

    def refused(self, event_id: object, *, again: bool) -> bool:
        """The server did not take it: it may be due again. False where it was no word of ours."""
        told = self._under_way.pop(str(event_id), None)
        for running, told_at, asked_at in told or ():
            running.asked_in_turn = None  # Nobody was asked, so nobody has said yes.
            if again:
                running.told_at, running.asked_at = told_at, asked_at
        return told is not None

    def unsaid(self, *, only_questions: bool = False) -> None:
        """The last word did not come to be said: it is due again, or only where it is a question."""
        for event_id, told in list(self._under_way.items()):
            self.refused(event_id, again=not only_questions or any(each.waits_for_yes for each, _, _ in told))

    def _moments(self, now: float) -> list[tuple[Running, float]]:
        """The calls of which there is something to say, each with when it may be said."""
        free_at = self.floor.free_at(now) if self.board else None
        soon_at = self.floor.free_at(now, is_urgent=True) if self.board else None
        if free_at is None or soon_at is None:
            return []
        due = ((each, self._due_at(each)) for each in self.board)
        return [(each, max(at, soon_at if _is_urgent(each) else free_at)) for each, at in due if at is not None]

    def _due_at(self, running: Running) -> float | None:
        if running.is_unwanted or running.is_denied or not running.is_own:
            return None
        if running.waits_for_yes:
            return running.began_at if self.asks_aloud and running.asked_at is None else None
        if running.queue_seconds and running.told_at is None:
            return running.began_at
        manners = running.manners
        if manners.say_after is None:
            return None
        first = running.began_at + manners.say_after
        if running.told_at is None:
            return first
        if running.told_at < first:  # that was about its place in the queue
            return first
        return running.told_at + manners.say_every if manners.say_every is not None else None


def tag_of(event: Event) -> str | None:
    """The event id of the word of ours that this response is, where it says so."""
    metadata = (event.get("response") or {}).get("metadata")
    tag = metadata.get(OUR_MARK) if isinstance(metadata, dict) else None
    return tag if isinstance(tag, str) else None


def _waiting(meant: Iterable[Running], now: float) -> str:
    said = dict.fromkeys(each.manners.say for each in meant if each.manners.say and not _is_queued(each))
    how = "In one short sentence, tell the user that you are still at it."
    if said:
        how = f'Say exactly this, in the language of the conversation: "{" ".join(said)}"'
    return (
        f"{how} {' '.join(_state(each, now) for each in meant)} "
        "There is no result yet: do not give one, do not guess one, and do not promise anything else."
    )


def _state(running: Running, now: float) -> str:
    if _is_queued(running):
        left = running.queue_seconds - running.age(now)
        about = max(SOON_SECONDS, SOON_SECONDS * round(left / SOON_SECONDS))
        return f"Everybody who could do {running.name} is busy, so it will take about {about} seconds to begin: say so."
    # Words of strangers are no part of instructions.
    reports = running.progress and not running.manners.is_untrusted
    progress = f"; it reports: {running.progress}" if reports else ""
    return f"{running.name} has been running for {round(running.age(now))} seconds{progress}."


def _is_urgent(running: Running) -> bool:
    """A question holds the call up; and that it will take long is worth knowing before one waits."""
    return running.waits_for_yes or _is_queued(running)


def _is_queued(running: Running) -> bool:
    first = running.manners.say_after
    return bool(running.queue_seconds) and (first is None or running.told_at is None)


def _question(asked: Iterable[Running]) -> str:
    listed = "; ".join(f"{each.name} with {_told(each.arguments)}" for each in asked)
    return (
        f"Before this is done, the user must agree to it: {listed}. In one short sentence, say what would be done, and "
        "ask whether you may. It has not been done yet: do not say that it has. Then wait for the answer."
    )


def _told(arguments: Any) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    return text if len(text) <= MAX_TOLD_CHARS else f"{text[:MAX_TOLD_CHARS]}… (and more, which is too long to say)"
