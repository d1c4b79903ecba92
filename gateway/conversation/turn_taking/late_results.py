"""When the user is told a result. This module alone decides it, in two steps.

    way_to_tell   as the result arrives: how it is to be brought up, by the tool's `late` and by what has happened
    due_at        while no response has told it: from when on the gateway asks for one that does

The way is one of the tool author's own words (`ringback.tools.behavior.Late`), and a result that is not late has the
first of them. What holds for everything that the gateway asks for, `rules` adds: the slot is free, the user is silent,
and the server has had its pause after a failure.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.conversation.call_table import Call, Owner
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import JobState
from ringback.tools.behavior import Late, ToolBehavior

CLIENT_ANSWERS_SECONDS = 3.0
"""How long a result waits for the client's answer to a call of the same response: one create is to tell both."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is true of a call as its result arrives.

    Args:
        age: seconds since the call was asked for.
        is_late: the user has had a turn since.
        is_unwanted: the call was cancelled.
        is_action: it changes something: that it was done must be told, also if it was cancelled.
    """

    age: float = 0.0
    is_late: bool = False
    is_unwanted: bool = False
    is_action: bool = False


def way_to_tell(outcome: Outcome, behavior: ToolBehavior, arrival: Arrival) -> Late:
    """Return how a result is brought up; SPEAK for one that is not late."""
    was_done = arrival.is_action and outcome.state is JobState.SUCCEEDED
    if (arrival.is_unwanted and not was_done) or is_out_of_date(outcome, behavior, arrival):
        return Late.SILENT
    return behavior.late if arrival.is_late else Late.SPEAK


def is_out_of_date(outcome: Outcome, behavior: ToolBehavior, arrival: Arrival) -> bool:
    """Return True if the tool says that a result is worth nothing by now. An error is never out of date."""
    succeeded = outcome.state is JobState.SUCCEEDED
    return succeeded and behavior.drop_after is not None and arrival.age > behavior.drop_after


def due_at(call: Call, scheduler: ResponseScheduler) -> float:
    """Return when a result should be told; the others that are there go with it."""
    siblings = scheduler.calls.of_response(call.response_id) if call.response_id is not None else []
    if any(sibling.owner is Owner.CLIENT for sibling in siblings):
        return call.landed_at + CLIENT_ANSWERS_SECONDS
    if call.late is Late.WHEN_QUIET:
        return min(call.landed_at + scheduler.hold_seconds, max(call.landed_at, scheduler.quiet_at))
    return call.landed_at + (scheduler.gather_seconds if siblings else 0.0)
