"""A call of an earlier epoch, as its row tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gateway.conversation.call_table import Call
from gateway.conversation.tool_calls.rendering import DeliveryContext, Rendering, render
from gateway.conversation.turn_taking.late_results import Arrival
from ringback.jobs.outcomes import Outcome
from ringback.tools.behavior import ToolBehavior


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call of an earlier epoch. `outcome` is None while it runs."""

    job_id: UUID
    position: int
    item_id: str | None
    call_id: str
    response_id: str | None
    tool: str
    arguments: Any
    outcome: Outcome | None = None
    is_news: bool = False
    """No response has told the user its result."""
    behavior: ToolBehavior = field(default_factory=ToolBehavior)
    age: float = 0.0
    """Seconds from when it was asked for: until now, or until its answer was there, where that has been told."""
    is_late: bool = False
    """The user has had a turn since."""
    is_of_last_turn: bool = False
    """It is known where it stands, and the user has had no turn since."""
    is_action: bool = False
    is_unwanted: bool = False
    """It was cancelled by the caller, or on their account."""
    waits_for_yes: bool = False
    joined_to: UUID | None = None
    may_be_there: bool = False
    """A gateway before this one may have given its result to a conversation, whatever the row says."""

    def as_call(self, turn: int, now: float) -> Call:
        """Return its record in the conversation that waits for its result."""
        return Call(
            call_id=self.call_id,
            name=self.tool,
            response_id=self.response_id,
            job_id=self.job_id,
            arguments=self.arguments,
            behavior=self.behavior,
            is_action=self.is_action,
            began_at=now - self.age,
            turn=turn - 1 if self.is_late else turn,
            joined_to=self.joined_to,
            waits_for_yes=self.waits_for_yes,
            is_unwanted=self.is_unwanted,
            is_whole=True,
        )

    def rendering(self, context: DeliveryContext) -> Rendering | None:
        """Return its result as this conversation is told it; None while there is none."""
        if self.outcome is None:
            return None
        arrival = Arrival(self.age, self.is_late, self.is_unwanted, self.is_action)
        return render(self.outcome, self.behavior, arrival, context)
