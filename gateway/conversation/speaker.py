"""Asks the model to speak, by what the rules say is due (`turn_taking.rules`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from gateway.conversation.actions import Action, Event, SendToClient, SendToModel
from gateway.conversation.client.requests import TRANSFER, ClientRequests
from gateway.conversation.client.view import response_cut
from gateway.conversation.event_names import CREATE_ITEM, CREATE_RESPONSE, DELETE_ITEM, UPDATE_SESSION
from gateway.conversation.tool_calls.client_tools import ClientTools
from gateway.conversation.tool_calls.loop_guard import ToolLoopGuard
from gateway.conversation.turn_taking import filler
from gateway.conversation.turn_taking.call_end import CallEnd
from gateway.conversation.turn_taking.rules import Ask, next_ask, wake_at
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turn_taking.slot import Active, Asked, By, Idle

HUNG_FACTOR = 2
"""A server that is silent for so many times what a create may take is taken for hung."""
NOT_TRANSFERRED = "The call could not be transferred. Tell the caller so, and ask what you can do for them instead."
TRANSFER_LOST = (
    "Whether the call is being transferred is not known any more. Tell the caller that it may not have worked, and ask "
    "what you can do for them instead."
)
NAMES = {By.RESULTS: "speak", By.QUESTION: "question", By.FILLER: "filler"}
"""What the event id of the gateway's create says."""
OTHER_TRANSFER = (
    "The call is being transferred to another place already, so this transfer was not begun. Tell the caller so, and "
    "ask them to hold the line."
)


@dataclass(slots=True)
class Speaker:
    """Turns what is due into events.

    Args:
        tools: all that the model is offered.
        ours: gives an event its `event_id`; the first argument says what it is for.
        call_end: ends a phone call.
        deletes_items: the server can delete an item; else the messages of fillers stay.
    """

    scheduler: ResponseScheduler
    loop_guard: ToolLoopGuard
    client: ClientRequests
    tools: ClientTools
    ours: Callable[[str, Event], Event]
    call_end: CallEnd
    deletes_items: bool = True
    _messages: set[str] = field(default_factory=set)
    """The creates whose messages the conversation still has."""

    def say(self, now: float) -> list[Action]:
        """Return the events that are due now."""
        actions = [*self._tidy(), *self._offer()]
        if self.call_end.take_lost_transfer():
            actions += self._tell_of_transfer(TRANSFER_LOST, now)
        ask = next_ask(self.scheduler, now)
        return [*actions, *(self.call_end.due(now) if ask is None else self._ask(ask, now))]

    def wake_at(self, now: float) -> float:
        """Return when `say` has events, if no event comes first; infinity: only an event can tell."""
        slot = self.scheduler.slot
        due = wake_at(self.scheduler, now) if isinstance(slot, Idle) else slot.until
        return min(due, self._hangs_at(), self.call_end.wake_at(now))

    def hangs(self, now: float) -> bool:
        """Return True if a server that was asked to speak has been silent for too long."""
        return self._hangs_at() <= now

    def cut(self, reason: str) -> list[Action]:
        """Tell the client that the active response has ended with its connection."""
        slot = self.scheduler.slot
        if not isinstance(slot, Active):
            return []
        return [SendToClient(self.ours("cut", response_cut(slot.response, reason)))]

    def transfer_failed(self, now: float, *, for_another: bool = False) -> list[Action]:
        """Tell the model that the call is not transferred, and have it say so; `for_another`: one is under way."""
        if for_another:
            return self._tell_of_transfer(OTHER_TRANSFER, now)
        self.call_end.transfer_failed()
        return self._tell_of_transfer(NOT_TRANSFERRED, now)

    def _tell_of_transfer(self, words: str, now: float) -> list[Action]:
        self.scheduler.owed_at = now
        content = [{"type": "input_text", "text": words}]
        event = self.ours(TRANSFER, {"type": CREATE_ITEM})
        event["item"] = {"id": f"item_{event['event_id']}", "type": "message", "role": "system", "content": content}
        self.client.resend_buffer.said(event)  # a connection may be dead, and the gateway not know it yet
        return [SendToModel(event)]

    def _hangs_at(self) -> float:
        since = self.scheduler.silent_since
        return inf if since is None else since + HUNG_FACTOR * self.scheduler.pacing.create_seconds

    def _ask(self, ask: Ask, now: float) -> list[Action]:
        if ask.by is By.CLIENT:
            return [SendToModel(self.scheduler.send_clients(now))]
        create = self.ours(NAMES[ask.by], {"type": CREATE_RESPONSE})
        if ask.by is By.RESULTS:
            self.scheduler.send(create["event_id"], By.RESULTS, now)
            return [SendToModel({**create, **self._response()})]
        about = frozenset(call.call_id for call in ask.about)
        self.scheduler.send(create["event_id"], ask.by, now, about)
        if self.deletes_items:
            self._messages.add(create["event_id"])
        message, create = filler.say(ask, create, self.ours("message", {})["event_id"], now)
        return [SendToModel(message), SendToModel(create)]

    def _response(self) -> Event:
        """Return the fields of the create that tells results: a model that must call would call without end."""
        if self.loop_guard.is_tripped(self.scheduler.turns.number):
            return {"response": {"tool_choice": "none"}}
        return {"response": {"tool_choice": "auto"}} if self.client.must_call else {}

    def _tidy(self) -> list[Action]:
        """Return the events that delete the messages of fillers that are over."""
        if not self._messages:
            return []
        slot = self.scheduler.slot
        under_way = {each.create for each in (slot, getattr(slot, "behind", None)) if isinstance(each, Asked | Active)}
        over = self._messages - under_way
        self._messages &= under_way
        deletes = ({"type": DELETE_ITEM, "item_id": filler.item_of(create)} for create in sorted(over))
        return [SendToModel(self.ours("tidy", delete)) for delete in deletes]

    def _offer(self) -> list[Action]:
        if not self.tools.is_outdated:
            return []
        session = {"type": "realtime", "tools": self.tools.offer()}
        update = self.ours("offer", {"type": UPDATE_SESSION, "session": session})
        self.client.settings.asked_ours(update)
        return [SendToModel(update)]
