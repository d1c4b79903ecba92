"""What a conversation asks the session to do. The session performs actions in the order in which they come.

Each is a frozen struct, which takes a ninth of the time of a frozen dataclass to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import CancelReason
from ringback.moments import Moment
from ringback.statements.jobs.admission import NewJob
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions.items import Message
from ringback.tools.spec import ToolSpec

Event: TypeAlias = dict[str, Any]
"""An event of the Realtime API, as JSON data."""


class SendToModel(Struct, frozen=True):
    """Write a client event to the Realtime API; it always bears an `event_id`."""

    event: Event


class SendToClient(Struct, frozen=True):
    """Write a server event to the client."""

    event: Event


class LetClientIn(Struct, frozen=True):
    """Let the client in: the conversation is whole, and takes its frames from now on.

    `expires_at` is when the Realtime API will end the connection, if it says so. Most servers say Unix seconds.
    """

    upstream_id: str | None
    expires_at: float | None = None


class RecordCall(Struct, frozen=True):
    """Commit the job's row, and publish it; with an `outcome` the call was refused and is over already."""

    job: NewJob
    outcome: Outcome | None = None

    @property
    def queue(self) -> str | None:
        """Return the queue of which a worker may take the call once its row is committed; None: no worker may yet."""
        job = self.job
        if self.outcome is not None or job.tool is None or job.joined_to is not None or job.needs_approval:
            return None
        return job.tool.queue


class Cancel(Struct, frozen=True):
    """Cancel a call whose result is not wanted any more: note it in its row, by which its worker hears of it."""

    job_id: UUID
    reason: CancelReason


class Decide(Struct, frozen=True):
    """Note in the row of a call that the user has approved or denied it."""

    job_id: UUID
    approved: bool


class Acknowledge(Struct, frozen=True):
    """Acknowledge a job's result: the server has echoed its item, so the conversation has it.

    `position` is how far the conversation had come by then.
    """

    job_id: UUID
    position: int


class KeepMessages(Struct, frozen=True):
    """Store messages that were said or changed."""

    messages: Sequence[Message]


class KeepSettings(Struct, frozen=True):
    """Store all that the client has set of its session."""

    session: Event


class KeepMoments(Struct, frozen=True):
    """Store when the user and the model spoke, for the session's timeline."""

    moments: Sequence[Moment]


class NoteTold(Struct, frozen=True):
    """Note in the rows of calls that a response tells their results, and what the user heard of it."""

    told: Sequence[Told]


class RecordUsage(Struct, frozen=True):
    """Record what a response has used: `usage` and `status` as the server says them.

    If the budget is used up then, the session tells the conversation (`budget_spent`).
    """

    response_id: str
    usage: Event
    status: str


class CheckBudget(Struct, frozen=True):
    """Check the budget, as a response begins.

    If the budget is used up, the session tells the conversation (`budget_spent`).
    """

    response_id: str


class Reopen(Struct, frozen=True):
    """Replace the upstream connection by a new one."""

    reason: str


class LeaveOut(Struct, frozen=True):
    """Stop offering a tool that the Realtime API refuses, in these words."""

    tool: ToolSpec
    why: str


class Guarded(Struct, frozen=True):
    """Write into the audit log what the page of a call did, and what was done about it.

    Args:
        what: the kind of finding (`gateway.conversation.guard`).
        did: "mended", "hung_up" or "watched".
        detail: such as the names of fields; no words of the page.
    """

    what: str
    did: str
    detail: str


class Warn(Struct, frozen=True):
    """Write a warning to the log, for an operator."""

    text: str


class TransferCall(Struct, frozen=True):
    """Transfer the phone call to a `tel:` or `sip:` address of the agent's file; the session ends with that."""

    target: str


class Close(Struct, frozen=True):
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
