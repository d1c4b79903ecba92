"""What a conversation asks the session to do. The session performs actions in the order in which they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import CancelReason
from ringback.moments import Moment
from ringback.statements.jobs.admission import NewJob
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions.items import Message
from ringback.tools.spec import ToolSpec

Event: TypeAlias = dict[str, Any]
"""An event of the Realtime API, as JSON data."""


@dataclass(frozen=True, slots=True)
class SendToModel:
    """Write a client event to the Realtime API; it always bears an `event_id`."""

    event: Event


@dataclass(frozen=True, slots=True)
class SendToClient:
    """Write a server event to the client."""

    event: Event


@dataclass(frozen=True, slots=True)
class LetClientIn:
    """Let the client in: the conversation is whole, and takes its frames from now on.

    `expires_at` is when the Realtime API will end the connection, if it says so. Most servers say Unix seconds.
    """

    upstream_id: str | None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class RecordCall:
    """Commit the job's row, then publish it; with an `outcome` the call was refused and is over already."""

    job: NewJob
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a call whose result is not wanted any more: note it in its row, by which its worker hears of it."""

    job_id: UUID
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Decide:
    """Note in the row of a call that the user has approved or denied it."""

    job_id: UUID
    approved: bool


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Acknowledge a job's result: the server has echoed its item, so the conversation has it.

    `position` is how far the conversation had come by then.
    """

    job_id: UUID
    position: int


@dataclass(frozen=True, slots=True)
class KeepMessages:
    """Store messages that were said or changed."""

    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """Store all that the client has set of its session."""

    session: Event


@dataclass(frozen=True, slots=True)
class KeepMoments:
    """Store when the user and the model spoke, for the session's timeline."""

    moments: Sequence[Moment]


@dataclass(frozen=True, slots=True)
class NoteTold:
    """Note in the rows of calls that a response tells their results, and what the user heard of it."""

    told: Sequence[Told]


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Record what a response has used: `usage` and `status` as the server says them.

    If the budget is used up then, the session tells the conversation (`budget_spent`).
    """

    response_id: str
    usage: Event
    status: str


@dataclass(frozen=True, slots=True)
class CheckBudget:
    """Check the budget, as a response begins.

    If the budget is used up, the session tells the conversation (`budget_spent`).
    """

    response_id: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Replace the upstream connection by a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Stop offering a tool that the Realtime API refuses, in these words."""

    tool: ToolSpec
    why: str


@dataclass(frozen=True, slots=True)
class Guarded:
    """Write into the audit log what the page of a call did, and what was done about it.

    Args:
        what: the kind of finding (`gateway.conversation.guard`).
        did: "mended", "hung_up" or "watched".
        detail: such as the names of fields; no words of the page.
    """

    what: str
    did: str
    detail: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Write a warning to the log, for an operator."""

    text: str


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Transfer the phone call to a `tel:` or `sip:` address of the agent's file; the session ends with that."""

    target: str


@dataclass(frozen=True, slots=True)
class Close:
    """End the session, with a WebSocket close code and a reason for the client and the history."""

    code: int
    reason: str


Action: TypeAlias = (
    SendToModel
    | SendToClient
    | LetClientIn
    | RecordCall
    | Cancel
    | Decide
    | Acknowledge
    | KeepMessages
    | KeepSettings
    | KeepMoments
    | NoteTold
    | RecordUsage
    | CheckBudget
    | Reopen
    | LeaveOut
    | Guarded
    | Warn
    | TransferCall
    | Close
)
