"""The calls that are under way in one conversation, and what is known of each."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from ringback.manners import Manners


@dataclass(slots=True)
class Running:
    """A call whose answer is still to come. Times are seconds of the session's own clock."""

    job_id: UUID
    call_id: str
    name: str
    arguments: Any
    manners: Manners
    began_at: float
    turn: int
    """The user's turn in which it was asked for: a result is late once there has been another."""
    is_action: bool = False
    """It changes something: that it was done must be told, also if it was cancelled."""
    joined_to: UUID | None = None
    waits_for_yes: bool = False
    queue_seconds: float = 0.0
    """How long it was expected to wait for a worker, where that is worth telling."""
    is_unwanted: bool = False
    """It was cancelled: whatever comes of it is not brought up."""
    is_denied: bool = False
    """The user, or their client, has said no: there is no word that it is still running."""
    progress: str | None = None
    told_at: float | None = None
    """When the user was last told that it is still running."""
    asked_at: float | None = None
    asked_in_turn: int | None = None
    """When, and in which turn, the user was asked whether it may start."""

    @property
    def is_own(self) -> bool:
        """False where it only waits for the end of the same call."""
        return self.joined_to is None

    def age(self, now: float) -> float:
        return now - self.began_at

    def may_begin(self, now: float, turn: int) -> None:
        """It has its yes: it begins now, and what it returns is no late news."""
        self.waits_for_yes = False
        self.began_at, self.turn, self.told_at = now, turn, None


@dataclass(slots=True)
class Board:
    """Every call that is under way, the oldest first; and in which of the user's turns the conversation is."""

    turn: int = 0
    _tainted_in: int | None = None
    """The turn of the user in which words of strangers last entered the conversation."""
    _is_counted: bool = False
    """What the server takes in next has been counted, or is no turn of the user's."""
    _running: dict[str, Running] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def go_on_from(self, earlier: Board) -> None:
        """Begin where the board of an earlier epoch stands; what becomes of that one from now on does not matter."""
        self.turn, self._is_counted, self._tainted_in = earlier.turn, earlier._is_counted, earlier._tainted_in
        self._running = {call_id: replace(each) for call_id, each in earlier._running.items()}

    def user_turn(self, *, aloud: bool = False) -> None:
        """The user has begun to say something, or has typed it."""
        self.turn += 1
        self._is_counted = aloud

    def taint(self) -> None:
        """The result of a tool that passes on words of strangers has entered the conversation."""
        self._tainted_in = self.turn

    @property
    def is_tainted(self) -> bool:
        """What the model does next may be the will of strangers: the user has said nothing since."""
        return self._tainted_in == self.turn

    def silence(self) -> None:
        """The user has said nothing for so long that the server takes that in (`idle_timeout_ms`)."""
        self._is_counted = True

    def committed(self) -> bool:
        """A turn of the user's was taken in: where nobody heard it begin, it counts from here (push to talk).

        Returns whether that is so.
        """
        is_new, self._is_counted = not self._is_counted, False
        self.turn += is_new
        return is_new

    def began(self, running: Running) -> None:
        self._running[running.call_id] = running

    def ended(self, call_id: str) -> Running | None:
        """Its answer is there: what was known of it, or None where it was not under way."""
        return self._running.pop(call_id, None)

    def by_job(self, job_id: UUID) -> Running | None:
        return next((each for each in self if each.job_id == job_id), None)

    def by_call(self, call_id: str) -> Running | None:
        return self._running.get(call_id)

    def keep(self, call_ids: Container[str]) -> None:
        """Forget what is not among these: the conversation that asked for it is gone, and no row tells of it."""
        self._running = {call_id: each for call_id, each in self._running.items() if call_id in call_ids}

    def unwant(self, running: Running) -> None:
        """It was cancelled: nothing is brought up of it, nor of what waits for its end."""
        for each in self:
            if each is running or each.joined_to == running.job_id:
                each.is_unwanted = True

    def same(self, name: str, arguments: Any) -> Running | None:
        """The call of this name and with these arguments that really runs, and is still wanted."""
        meant = _canonical(arguments)
        alike = (each for each in self.wanted() if each.name == name and _canonical(each.arguments) == meant)
        return next(alike, None)

    def wanted(self) -> list[Running]:
        """What runs, and was not cancelled."""
        return [each for each in self if each.is_own and not each.is_unwanted]

    def cancellable(self) -> list[Running]:
        """What the caller may have cancelled."""
        return [each for each in self.wanted() if each.manners.cancellable]

    def waiting_for_yes(self) -> list[Running]:
        """What may not start before the user has agreed."""
        return [each for each in self.wanted() if each.waits_for_yes]

    def is_late(self, running: Running) -> bool:
        """True where the user has said something since it was asked for."""
        return self.turn > running.turn


def _canonical(arguments: Any) -> str:
    return json.dumps(arguments, sort_keys=True)
