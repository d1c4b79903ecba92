"""Calls that are answered before their result is there, for servers that hold the talk while a call has no output.

Such a server begins no response until each call has an output, so a slow tool would silence both sides. If the
provider's profile says so (`Quirks.answers_early_seconds`), a call that takes longer gets an output at once: accepted,
the result follows. A call has one output, so its result comes as the output of a second call, which the gateway writes
beside it. Both ids are derived from the job's: a result is in a conversation once, whatever is sent again.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from uuid import UUID

from gateway.conversation.actions import Action, Event, SendToModel, Warn
from gateway.conversation.call_table import Call, CallTable, Stage
from gateway.conversation.event_ids import EventIds
from gateway.conversation.event_names import CREATE_ITEM
from gateway.conversation.turn_taking.pacing import PAUSE_SECONDS
from gateway.protocol import OURS

HURRY_SECONDS = 0.25
"""After a refusal for the want of an output: by then a call that is being recorded has its early answer."""
_NO_RESULT = "You have no result yet: do not give one, do not guess one, and do not call the function again for it."
ACCEPTED = {
    "status": "accepted",
    "note": f"The function is running. Its result follows by itself, in another output of it. {_NO_RESULT}",
}
WAITS_FOR_YES = {
    "status": "waiting_for_approval",
    "note": "The function has not begun: the user must agree first, and is asked. If they do, its result follows by "
    f"itself, in another output of it. {_NO_RESULT}",
}


@dataclass(slots=True)
class EarlyAnswers:
    """Early answers in one conversation: what an earlier epoch answered early is open again in a rebuilt one.

    Args:
        after_seconds: how long a call may run without an output; None: each call waits for its result.
        calls: the calls of the conversation.
        ids: gives an event its `event_id`, and knows the calls' ids as the server writes them.
    """

    after_seconds: float | None
    calls: CallTable
    ids: EventIds
    _held_at: float = -math.inf
    """When the server last refused a response because a call had no output."""
    _sent_as: dict[str, str] = field(default_factory=dict)
    """By call_id, the event that answered it early."""
    _refused: set[str] = field(default_factory=set)
    """Calls whose early answer the server did not take: their result is their output."""

    def due(self, now: float) -> list[Action]:
        """Answer each call that has run for too long without an output, once."""
        return [self._answer(call) for call, at in self._open() if at <= now]

    def hurry(self, now: float) -> float:
        """Have the calls that are open now answered once they are recorded; return in how many seconds to ask again."""
        self._held_at = now
        return PAUSE_SECONDS if self.after_seconds is None else HURRY_SECONDS

    def wake_at(self) -> float:
        """Return when `due` has something, if no event comes first."""
        return min([at for _, at in self._open()], default=math.inf)

    def is_given(self, call: Call) -> bool:
        """Return True if the conversation has an early answer of this call."""
        return call.call_id in self._sent_as

    def result_call_id(self, call: Call) -> str:
        """Return the call_id under which the server of this conversation is told the result of a call."""
        assert call.job_id is not None, "a call without a job has no result of a worker"  # noqa: S101
        return self._derived("call_", call.job_id) if self.is_given(call) else self.ids.of_server(call.call_id)

    def second_call(self, call: Call) -> list[Action]:
        """Return the item of the second call, where the result of this one needs it; it goes out before the result."""
        if not self.is_given(call):
            return []
        assert call.job_id is not None  # noqa: S101
        asked = {"id": self._derived("fc_", call.job_id), "type": "function_call", "name": call.name}
        asked["call_id"] = self.result_call_id(call)
        asked["arguments"] = json.dumps(call.arguments or {}, ensure_ascii=False)
        return [SendToModel(self.ids.ours("call", {"type": CREATE_ITEM, "item": asked}))]

    def refused(self, event_id: object, code: object) -> list[Action]:
        """Note that the server refused an early answer; return [] if the event was none."""
        call_id = next((call_id for call_id, sent_as in self._sent_as.items() if sent_as == event_id), None)
        if call_id is None:
            return []
        del self._sent_as[call_id]
        self._refused.add(call_id)
        return [Warn(f"early answer refused by the Realtime API (call {call_id}: {code}); it waits for its result")]

    def _open(self) -> list[tuple[Call, float]]:
        """Return the calls that are to be answered early, each with when. A call without a row is not accepted yet."""
        if self.after_seconds is None:
            return []
        done = self._sent_as.keys() | self._refused
        recorded = (call for call in self.calls.running() if call.stage is Stage.RUNNING and call.call_id not in done)
        return [
            (call, call.began_at + (self.after_seconds if call.began_at > self._held_at else 0)) for call in recorded
        ]

    def _answer(self, call: Call) -> Action:
        assert call.job_id is not None  # noqa: S101
        output = json.dumps(WAITS_FOR_YES if call.waits_for_yes else ACCEPTED)
        item: Event = {"id": self._derived("fco_", call.job_id), "type": "function_call_output"}
        item |= {"call_id": self.ids.of_server(call.call_id), "output": output}
        event = self.ids.ours("early", {"type": CREATE_ITEM, "item": item})
        self._sent_as[call.call_id] = event["event_id"]
        return SendToModel(event)

    def _derived(self, kind: str, job_id: UUID) -> str:
        """Return an id of the gateway that is always the same for one job: 32 characters at most, as the API takes."""
        return f"{OURS}{kind}{self.ids.of_output(job_id, kind).removeprefix('fco_')}"
