"""One record for each call of a conversation, from the model's request until its result is told.

The next epoch takes over the whole record, so it outlives the connection on which the call was asked for. Who answers
a call is its `Owner`; how far it has come is its `Stage`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

from gateway.upstream.events import Item
from ringback.tools.behavior import Late, ToolBehavior


class Owner(Enum):
    """Who answers a call."""

    SERVER = "a worker"
    CLIENT = "the client"
    GATEWAY = "the gateway"


class Stage(IntEnum):
    """How far a call has come."""

    ASKED = 0
    """The model has asked for it. Its response may have to be complete first, or its row to be committed."""
    RUNNING = 1
    """It is recorded, and its result is to come: from a worker, or from the client."""
    SENT = 2
    """Its result was sent into the conversation."""
    ECHOED = 3
    """The server has shown that it has the result."""
    CREDITED = 4
    """A response began that can tell the result."""
    TOLD = 5
    """That response came to an end, or was heard in part."""
    SILENT = 6
    """It is over, and its result is not to be told."""


STEPS: dict[Stage, tuple[Stage, ...]] = {
    Stage.ASKED: (Stage.RUNNING, Stage.SENT, Stage.SILENT),
    Stage.RUNNING: (Stage.SENT, Stage.SILENT),
    Stage.SENT: (Stage.ECHOED, Stage.CREDITED, Stage.SILENT),
    Stage.ECHOED: (Stage.CREDITED, Stage.SILENT),
    Stage.CREDITED: (Stage.TOLD, Stage.SENT, Stage.ECHOED, Stage.SILENT),
    Stage.TOLD: (Stage.SENT, Stage.ECHOED, Stage.SILENT),
    Stage.SILENT: (),
}
"""Where a call may go from each stage. Back from `TOLD`: the refusal of the create that told it came late."""


@dataclass(frozen=True, slots=True)
class Credit:
    """The response that is taken to tell a result.

    Args:
        create: the create that the response is taken for; None where the server began it by itself.
        is_sure: the server had shown the result before the response began.
    """

    response: str
    create: str | None
    is_sure: bool


@dataclass(slots=True)
class Call:
    """A call, and all that the conversation knows of it. Times are seconds of the session's own clock.

    Args:
        call_id: as its row has it.
        turn: the user's turn in which it was asked for. A result is late once there has been another.
        is_action: it changes something, so that it was done must be told, also if it was cancelled.
        joined_to: the job of the same call, which really runs.
        queue_seconds: how long it was expected to wait for a worker, where that is worth telling.
        item: the item that asked for it, while its response has to be complete first, or where no row keeps it.
    """

    call_id: str
    name: str
    owner: Owner = Owner.SERVER
    stage: Stage = Stage.ASKED
    response_id: str | None = None
    job_id: UUID | None = None
    arguments: Any = None
    behavior: ToolBehavior = field(default_factory=ToolBehavior)
    began_at: float = 0.0
    turn: int = 0
    is_action: bool = False
    joined_to: UUID | None = None
    waits_for_yes: bool = False
    queue_seconds: float = 0.0
    item: Item | None = None
    is_whole: bool = False
    """The item is complete: the model has asked for it, and cannot change it any more."""
    position: int | None = None
    """Where it stands in the conversation, where no row tells it."""
    output: str | None = None
    """The client's answer: no row keeps it."""
    is_unwanted: bool = False
    """It was cancelled: its result is not brought up."""
    is_denied: bool = False
    """The user, or their client, has said no: no filler says that it is still running."""
    progress: str | None = None
    filled_at: float | None = None
    """When a filler was last asked for that says that it is still running."""
    question_heard_in: int | None = None
    """In which turn the user heard the question whether it may start."""
    landed_at: float = 0.0
    """When its result was sent into the conversation."""
    late: Late = Late.SPEAK
    """How its result is brought up: as its tool says, if the result came late."""
    is_echoed: bool = False
    credit: Credit | None = None
    sent_as: str | None = None
    """The event id of the item that brings its result."""
    is_unreadable: bool = False
    """The server did not take its result: it was told that there is one which cannot be read."""

    @property
    def is_running(self) -> bool:
        """Its result is still to come."""
        return self.stage in (Stage.ASKED, Stage.RUNNING)

    @property
    def is_untold(self) -> bool:
        """Its result is in the conversation, or on its way there, and no response tells it."""
        return self.stage in (Stage.SENT, Stage.ECHOED)

    @property
    def is_own(self) -> bool:
        """False where it only waits for the end of the same call."""
        return self.joined_to is None

    def age(self, now: float) -> float:
        return now - self.began_at

    def go(self, stage: Stage) -> None:
        """Take a step that `STEPS` allows; to stay where it is takes none."""
        if stage is not self.stage:
            assert stage in STEPS[self.stage], f"{self.call_id} cannot go from {self.stage.name} to {stage.name}"  # noqa: S101
            self.stage = stage

    def land(self, now: float, late: Late = Late.SPEAK) -> None:
        """Note that its result is sent into the conversation, and how it is to be told."""
        self.go(Stage.SENT)
        self.landed_at, self.late = now, late
        if late is Late.SILENT:
            self.go(Stage.SILENT)

    def echo(self) -> bool:
        """Note that the server has the result: responses that begin from now on see it. Return False if known."""
        news = not self.is_echoed
        self.is_echoed = True
        if self.stage is Stage.SENT:
            self.go(Stage.ECHOED)
        return news

    def give_credit(self, response: str, create: str | None) -> None:
        """Note that a response began that can tell the result."""
        self.credit = Credit(response, create, is_sure=self.is_echoed)
        if self.stage is not Stage.TOLD:
            self.go(Stage.CREDITED)

    def take_back(self) -> None:
        """Note that no response has told the result after all."""
        self.credit = None
        self.go(Stage.ECHOED if self.is_echoed else Stage.SENT)

    def land_again(self, now: float) -> None:
        """Note that another item brings its result: a create from before does not tell it."""
        self.landed_at = now
        if self.credit is not None:
            self.take_back()

    def may_begin(self, now: float, turn: int) -> None:
        """Note that it was approved: it begins now, and its result is not late."""
        self.waits_for_yes = False
        self.began_at, self.turn, self.filled_at = now, turn, None


@dataclass(slots=True)
class CallTable:
    """Every call of one conversation, in the order in which the model asked for them."""

    _calls: dict[str, Call] = field(default_factory=dict)
    _open: dict[str, Call] = field(default_factory=dict)
    """Those that are not over yet: at each event these are looked at, and all of them are many."""

    def go_on_from(self, earlier: CallTable) -> None:
        """Begin with copies of the records of an earlier epoch."""
        self._calls = {call.call_id: replace(call) for call in earlier._calls.values()}
        self._open = {call_id: self._calls[call_id] for call_id in earlier._open}

    def __iter__(self) -> Iterator[Call]:
        """Go through those that are not told yet, or not surely."""
        for call in list(self._open.values()):
            if call.stage is Stage.SILENT or (call.stage is Stage.TOLD and call.credit and call.credit.is_sure):
                del self._open[call.call_id]
                call.arguments = None  # all that is kept of it from now on is that it is known
            else:
                yield call

    @property
    def any_open(self) -> bool:
        """False if each call is surely told."""
        return bool(self._open)

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._calls

    def get(self, call_id: str) -> Call | None:
        return self._calls.get(call_id)

    def add(self, call: Call) -> Call:
        """Begin the record of a call."""
        self._calls[call.call_id] = self._open[call.call_id] = call
        return call

    def recorded(self, call_id: str) -> Call | None:
        """Note that the row of a call is committed; return its record."""
        call = self.get(call_id)
        if call is not None and call.stage is Stage.ASKED:
            call.go(Stage.RUNNING)
        return call

    def by_job(self, job_id: UUID) -> Call | None:
        return next((call for call in self if call.job_id == job_id), None)

    def running(self) -> list[Call]:
        """Return the calls of workers whose results are to come."""
        return [call for call in self if call.owner is Owner.SERVER and call.is_running and call.job_id is not None]

    def awaited(self) -> list[Call]:
        """Return the same, with the calls of the client and the gateway."""
        return [call for call in self if call.is_running]

    def untold(self) -> list[Call]:
        return [call for call in self if call.is_untold]

    def not_surely_told(self) -> frozenset[str]:
        """Return the ids of the calls whose results no response has told to its end."""
        return frozenset(call.call_id for call in self if call.is_untold or call.stage is Stage.CREDITED)

    def of_response(self, response_id: str) -> list[Call]:
        """Return the calls of this response whose results are to come."""
        return [call for call in self if call.is_running and call.response_id == response_id]

    def credited(self, response_id: str) -> list[Call]:
        """Return the calls whose results this response is taken to tell."""
        return [call for call in self if call.credit is not None and call.credit.response == response_id]

    def teller_of(self, call_id: str) -> str | None:
        """Return the response that is taken to tell the result of a call, or has told it."""
        call = self.get(call_id)
        return call.credit.response if call is not None and call.credit is not None else None

    def keep(self, call_ids: Container[str]) -> None:
        """Forget calls under way that are not among these: the connection is gone, and they have no row.

        A call of the client's functions never has a row. It is kept if the server has shown all of it.
        """
        for call in self:
            if call.call_id not in call_ids and not (call.owner is Owner.CLIENT and call.is_whole):
                del self._open[call.call_id], self._calls[call.call_id]

    def of_client(self) -> list[Call]:
        """Return the calls of the client's functions that a new conversation is told of, answered or not."""
        return [call for call in self._calls.values() if call.owner is Owner.CLIENT and call.is_whole]

    def unwant(self, cancelled: Call) -> None:
        """Note that it was cancelled: neither its result is brought up, nor that of a call that waits for its end."""
        for call in self.running():
            if call is cancelled or call.joined_to == cancelled.job_id:
                call.is_unwanted = True

    def awaits_alone(self, job_id: UUID) -> bool:
        """Return True if the job's own call waits for its end, and no other call does.

        False once the conversation has its result, be it among its past.
        """
        waiting = [call for call in self.running() if job_id in (call.job_id, call.joined_to)]
        return len(waiting) == 1 and waiting[0].job_id == job_id

    def wanted(self) -> list[Call]:
        """Return the calls that run by themselves and were not cancelled."""
        return [call for call in self.running() if call.is_own and not call.is_unwanted]

    def same(self, name: str, arguments: Any, *, but: Call) -> Call | None:
        """Return another wanted call of this name with these arguments, if one runs."""
        others = (call for call in self.wanted() if call is not but and call.name == name)
        return next((call for call in others if _canonical(call.arguments) == _canonical(arguments)), None)

    def cancellable(self) -> list[Call]:
        """Return the calls that the caller may cancel."""
        return [call for call in self.wanted() if call.behavior.cancellable]

    def waiting_for_yes(self) -> list[Call]:
        """Return the calls that may not start before the user has agreed."""
        return [call for call in self.wanted() if call.waits_for_yes]


def _canonical(arguments: Any) -> str:
    return json.dumps(arguments, sort_keys=True)
