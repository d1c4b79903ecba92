"""State that a session takes along from one epoch to the next, in the process that holds it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.conversation.actions import Event
from gateway.conversation.call_table import CallTable
from gateway.conversation.client.resend_buffer import ResendBuffer
from gateway.conversation.item_log import ItemLog
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.turn_taking.call_end import WantedEnd
from gateway.conversation.turn_taking.hearing import Hearing
from gateway.conversation.turns import UserTurns


@dataclass(slots=True)
class CarriedState:
    """Everything that outlives an upstream connection.

    Args:
        has_past: earlier epochs hold something that the next conversation must be told.
        log: what was said; None if this process has heard no event yet, so that the rows have to tell.
        calls: every call, and what is known of it beside its row.
        turns: the user's turns.
        resend_buffer: the client's events that no server has confirmed, and the gateway's word about a transfer.
        client_session: what the client has set of its session.
        rejected_session: what it had set before, where the Realtime API refused to begin with it.
        lively_at: when the user last took part.
        untold: the calls whose results no response has told the user yet.
        creates: the client's `response.create`s that no response has answered.
        user_waits: True where a response was under way, asked for or due; None where only the rows can tell.
        hearing: what the user hears of earlier responses: the client goes on playing them.
        wanted_end: the end of the phone call, or its transfer, that the model has asked for.
    """

    has_past: bool = False
    log: ItemLog | None = None
    calls: CallTable = field(default_factory=CallTable)
    turns: UserTurns = field(default_factory=UserTurns)
    resend_buffer: ResendBuffer = field(default_factory=ResendBuffer)
    client_session: Event = field(default_factory=dict)
    rejected_session: Event | None = None
    untold: frozenset[str] = frozenset()
    lively_at: float | None = None
    creates: tuple[Event, ...] = ()
    user_waits: bool | None = None
    hearing: Hearing | None = None
    wanted_end: WantedEnd | None = None

    def is_awaited(self, past: ConversationHistory) -> bool:
        """Return True if the user waits for an answer that an earlier epoch did not give."""
        return past.user_waits if self.user_waits is None else self.user_waits
