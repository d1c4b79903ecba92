"""The ids of one conversation: of the events that the gateway sends, and of the calls that the model asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from gateway.conversation.actions import Event
from gateway.protocol import OURS
from ringback.jobs.states import output_item_id

MAX_NAME_CHARS = 256
"""Of what a row keeps of a function's name, and of a call's id, which is indexed: several times OpenAI's."""


@dataclass(slots=True)
class EventIds:
    """Names for what the gateway sends: each is unique in a session, through all its epochs.

    Args:
        epoch: of the conversation.
        secret: of a call, from which the ids of its outputs are derived (`output_item_id`).
    """

    epoch: int
    secret: str = field(default="", repr=False)
    _count: int = 0
    _written: dict[str, str] = field(default_factory=dict)
    """By the id in the row, the call's id as the server writes it, where the two differ."""

    def new(self, what: str) -> str:
        """Return a new event id of the gateway; `what` says what it is for."""
        self._count += 1
        return f"{OURS}{what}_{self.epoch}_{self._count}"

    def ours(self, what: str, event: Event) -> Event:
        """Return the event with a new event id of the gateway."""
        return {**event, "event_id": self.new(what)}

    def of_output(self, job_id: UUID, kind: str = "") -> str:
        """Return the id of the item that brings the result of a job.

        Args:
            job_id: of the job.
            kind: of another item about the same job: a page that is shown the one cannot compute the other.
        """
        return output_item_id(job_id, self.secret + kind)

    def of_row(self, call_id: str) -> str:
        """Return the id under which the call's row is kept; another one for what no row can hold."""
        kept = storable(call_id)
        if kept != call_id:
            kept = f"call_{sha256(call_id.encode(errors='replace')).hexdigest()[:27]}"  # 32 characters, as OpenAI takes
            self._written[kept] = call_id
        return kept

    def of_server(self, kept: str) -> str:
        """Return the id by which the server of this conversation knows the call."""
        return self._written.get(kept, kept)


def storable(name: object, limit: int = MAX_NAME_CHARS) -> str:
    """Return a name or an id as a row can hold it: without NUL and half characters, and not too long."""
    text = name if isinstance(name, str) else ""
    return text.replace("\0", "").encode(errors="ignore").decode()[:limit]
