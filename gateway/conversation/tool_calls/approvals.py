"""Calls that may not start before they are approved: the client is asked if it wants to be, else the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from gateway.conversation.actions import Action, Event, SendToClient
from gateway.conversation.call_table import Call, CallTable
from gateway.conversation.event_names import APPROVAL_REQUESTED
from gateway.conversation.tool_calls.builtin_tools import BuiltinTools
from gateway.errors import error_event


@dataclass(slots=True)
class Approvals:
    """Questions to the client and its answers. The user's spoken answer comes as a call of `answer_approval`."""

    calls: CallTable
    builtin_tools: BuiltinTools
    ours: Callable[[str, Event], Event]

    def wanted(self, call_id: str, now: float) -> list[Action]:
        """Ask the client about a call that was just recorded, if it waits for the client's approval."""
        return [self._ask(each, now) for each in self._to_be_asked() if each.call_id == call_id]

    def still_wanted(self, now: float) -> list[Action]:
        """Ask the client again as a new epoch begins: it may be another client, which has not been asked."""
        return [self._ask(each, now) for each in self._to_be_asked()]

    def answered(self, event: Event, now: float) -> list[Action]:
        """Take in the client's answer."""
        call = self.calls.by_job(UUID(event["job_id"]))
        if call is None or not call.waits_for_yes or self.builtin_tools.asks_aloud:
            return [SendToClient(self.ours("refused", _nothing_to_answer(event)))]
        return self.builtin_tools.decide(call, now, approved=event["approved"])

    def given(self, job_id: UUID, now: float) -> bool:
        """Note that a call was approved elsewhere; return False if it did not wait for that."""
        call = self.calls.by_job(job_id)
        if call is None or not call.waits_for_yes:
            return False
        call.may_begin(now, self.builtin_tools.turns.number)
        return True

    def _to_be_asked(self) -> list[Call]:
        return [] if self.builtin_tools.asks_aloud else self.calls.waiting_for_yes()

    def _ask(self, call: Call, now: float) -> Action:
        job = {"id": str(call.job_id), "call_id": call.call_id, "tool": call.name, "arguments": call.arguments}
        seconds = max(0.0, round(call.behavior.approval_seconds - call.age(now), 3))
        event = {"type": APPROVAL_REQUESTED, "job": job, "seconds": seconds}
        return SendToClient(self.ours("approval", event))


def _nothing_to_answer(event: Event) -> Event:
    sentence = f"No call with the job_id {event['job_id']} waits for an answer of this client."
    return error_event("", 400, "nothing_to_approve", sentence, "job_id", event.get("event_id"))
