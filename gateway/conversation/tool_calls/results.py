"""Results of calls on their way into one conversation: each is sent once, and known by its echo."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from gateway.conversation.actions import Acknowledge, Action, SendToClient, SendToModel, Warn
from gateway.conversation.call_table import Call, CallTable, Owner, Stage
from gateway.conversation.event_ids import EventIds
from gateway.conversation.event_names import CREATE_ITEM, JOB, RESULT
from gateway.conversation.tool_calls.early_answers import EarlyAnswers
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.tool_calls.rendering import DeliveryContext, Rendering
from gateway.upstream.events import Item, UpstreamError

INVALID_CALL = "invalid_tool_call_id"
"""The conversation has no call that this answer belongs to (Realtime API, error codes)."""
UNREADABLE = {
    "error": {
        "code": "unreadable_result",
        "message": "The function has finished, but its result cannot be read here. Say so; do not guess it.",
    }
}


@dataclass(slots=True)
class ResultSender:
    """Sender of the results of one conversation.

    Args:
        calls: the calls of the conversation.
        ids: gives an event its `event_id`, and knows the calls' ids as the server writes them.
        tells: True where the client asked for `ringback.job` events.
        come_to: how far the conversation has come, as a position in its log.
        early_after: how long a call may run before it is answered early, in seconds (`early_answers`); None: it is not.
    """

    calls: CallTable
    ids: EventIds
    tells: bool
    come_to: Callable[[], int]
    early_after: float | None = None
    _early: EarlyAnswers = field(init=False)
    _by_item: dict[str, Call] = field(default_factory=dict)
    """By the id of the item that brings the result, and by call_id: not every server keeps the ids that it is given."""
    _past: dict[str, Call] = field(default_factory=dict)
    _doubted: list[Call] = field(default_factory=list)
    """Calls whose result the conversation had already: a response may have told it, unheard by this gateway."""

    def __post_init__(self) -> None:
        self._early = EarlyAnswers(self.early_after, self.calls, self.ids)

    def answer_early(self, now: float) -> list[Action]:
        """Answer the calls that have run for too long without an output."""
        return self._early.due(now)

    def hurry(self, now: float) -> float:
        """Answer early what is open now: the server holds the talk for it. Return when to ask it again, in seconds."""
        return self._early.hurry(now)

    def wake_at(self) -> float:
        """Return when `answer_early` has something, if no event comes first."""
        return self._early.wake_at()

    def give(self, job_id: UUID, call_id: str, tool: str, state: str, rendering: Rendering, now: float) -> list[Action]:
        """Send a result into the conversation, even while a response is active."""
        item_id = self.ids.of_output(job_id)
        known = self._by_item.get(item_id)
        if known is not None:
            # It was answered without a row, and the row came after all.
            return [Acknowledge(job_id, self.come_to())] if known.is_echoed else []
        call = self.calls.get(call_id)
        if call is None or not call.is_running:
            call = self.calls.add(Call(call_id, tool, Owner.GATEWAY))
        call.job_id = job_id
        self._by_item[item_id] = self._by_item[self._early.result_call_id(call)] = call
        second = self._early.second_call(call)
        call.land(now, rendering.late)
        return [*second, self._write(call, rendering.output), *self.tell(call, state), *self._show(call, rendering)]

    def remember(self, past: PastCall, call: Call, context: DeliveryContext, now: float) -> list[Action]:
        """Note a call of an earlier epoch: its result is among the items of the past, or still to come."""
        rendering = past.rendering(context)
        if rendering is None:
            call.go(Stage.RUNNING)
            return []
        self._past[self.ids.of_output(past.job_id)] = call
        if not past.is_news:
            call.go(Stage.SILENT)
            return []
        call.land(now, rendering.late)
        return [*self.tell(call, "replayed"), *self._show(call, rendering)]

    def echoed(self, item: Item) -> list[Action]:
        """Acknowledge a result whose item the server shows, once."""
        past = self._past.get(str(item.id))
        if past is not None:
            past.echo()
        call = self._by_item.get(str(item.id))
        if call is None and item.type == "function_call_output":
            call = self._by_item.get(str(item.call_id))
        if call is None:
            return []
        return self._acknowledge(call) if call.echo() else []

    def told_before(self) -> None:
        """Take results that the server had already for told: a response is played that began before this epoch."""
        for call in self._doubted:
            if call.is_untold:
                call.go(Stage.SILENT)
        self._doubted = []

    def refused(self, event_id: object, error: UpstreamError, now: float) -> list[Action]:
        """Handle a result that the server refused; return [] if the event sent none.

        If the conversation has the item already, a gateway before this one has sent it, and the result is delivered:
        the page of a call can compute no id of an output.
        If the server knows the call, send another output once: that there was a result, which cannot be read here.
        """
        call = next((call for call in self._by_item.values() if event_id and call.sent_as == event_id), None)
        if call is None:
            return self._early.refused(event_id, error.code)
        call.sent_as, code = None, error.code
        if is_duplicate(error):
            self._doubted.append(call)
            return self._acknowledge(call) if call.echo() else []
        refusal = f"result refused by the Realtime API (job {call.job_id}: {code})"
        if code == INVALID_CALL or call.is_unreadable:
            call.go(Stage.SILENT)
            return [Warn(f"{refusal}; it stays unsaid")]
        call.is_unreadable = True
        call.land_again(now)
        return [Warn(f"{refusal}; telling the model that it cannot be read"), self._write(call, json.dumps(UNREADABLE))]

    def progressed(self, call: Call | None, note: str) -> list[Action]:
        """Tell the client what a running call last said of itself, once."""
        if call is None or call.progress == note:
            return []
        call.progress = note
        return self.tell(call, "running", note)

    def tell(self, call: Call, state: str, progress: str | None = None) -> list[Action]:
        """Return a `ringback.job` event, if the client asked for them."""
        if not self.tells:
            return []
        job = {**_named(call), "state": str(state), **({"progress": progress} if progress else {})}
        return [SendToClient(self.ids.ours("job", {"type": JOB, "job": job}))]

    def _acknowledge(self, call: Call) -> list[Action]:
        assert call.job_id is not None, "a client's result is not sent here"  # noqa: S101
        return [Acknowledge(call.job_id, self.come_to()), *self.tell(call, "acked")]

    def _write(self, call: Call, output: str) -> SendToModel:
        assert call.job_id is not None  # noqa: S101
        known_as = self._early.result_call_id(call)
        item = {"id": self.ids.of_output(call.job_id), "type": "function_call_output", "call_id": known_as}
        create = {"type": CREATE_ITEM, "item": {**item, "output": output}}
        event = self.ids.ours("output", create)
        call.sent_as = event["event_id"]
        return SendToModel(event)

    def _show(self, call: Call, rendering: Rendering) -> list[Action]:
        """Return a `ringback.result` event, if the tool shows its result to the client, and the client asked for it."""
        if not rendering.is_shown:
            return []
        shown = {"type": RESULT, "job": _named(call), "result": rendering.shown}
        return [SendToClient(self.ids.ours("result", shown))]


def _named(call: Call) -> dict[str, str]:
    return {"id": str(call.job_id), "call_id": call.call_id, "tool": call.name}


def is_duplicate(error: UpstreamError) -> bool:
    """Return True if an item was refused because the conversation has one of that id."""
    said = f"{error.code} {error.message}".lower().replace("_", " ")
    return ("already" in said and "exists" in said) or "duplicate" in said
