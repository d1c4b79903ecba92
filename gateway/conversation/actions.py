"""What the brain can ask for. The session loop performs actions in the order they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import CancelReason
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions.items import Message
from ringback.tools.decorator import ToolSpec

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
    """The conversation is whole: from now on the client's frames may be passed on.

    `expires_at` is when the Realtime API ends it, as it says it itself (None where it does not): most say Unix seconds.
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
    """Nobody waits for this call any more: tell its row, and through it whoever runs it."""

    job_id: UUID
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Decide:
    """The user has said yes or no to a call that waits for it."""

    job_id: UUID
    approved: bool


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The conversation has this job's answer: the server echoed its item.

    `position` is how far the conversation had come by then.
    """

    job_id: UUID
    position: int


@dataclass(frozen=True, slots=True)
class KeepMessages:
    """Write down what was said, or what has become of it."""

    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """Write down what the client has set of its session, all of it."""

    session: Event


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Write down what a response has used: `usage` and `status` of its `response.done`.

    Where nothing is left after it, the brain hears of it (`budget_spent`).
    """

    response_id: str
    usage: Event
    status: str


@dataclass(frozen=True, slots=True)
class CheckBudget:
    """A response begins, whoever asked for it: look whether there is anything left to pay for it.

    Where there is not, the brain hears of it (`budget_spent`).
    """

    response_id: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """This connection is no good any more: go on with a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """The Realtime API refuses this tool, in these words: conversations go on without it."""

    tool: ToolSpec
    why: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Something an operator should see in the log."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """End the session: a WebSocket close code, a reason for the client, and one for the history."""

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
    | RecordUsage
    | CheckBudget
    | Reopen
    | LeaveOut
    | Warn
    | Close
)
