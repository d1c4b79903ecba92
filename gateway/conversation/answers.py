"""The answers of jobs on their way into one conversation: each written once, and known by its echo."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from gateway.conversation.actions import Acknowledge, Action, Event, SendToClient, SendToModel, Warn
from gateway.conversation.board import Running
from gateway.conversation.floor import Floor
from gateway.conversation.ids import Ids
from gateway.conversation.rebuild import PastCall
from gateway.conversation.renderings import Circumstances, Moment, Rendering
from ringback.jobs import output_item_id

INVALID_CALL = "invalid_tool_call_id"
"""The conversation has no call that this answer belongs to (Realtime API, error codes)."""
UNREADABLE = {
    "error": {
        "code": "unreadable_result",
        "message": "The function has finished, but its result cannot be read here. Say so; do not guess it.",
    }
}


@dataclass(slots=True)
class Answers:
    """What was answered in this conversation.

    Args:
        floor: told of each result, as somebody should speak of it.
        ids: gives an event of ours its `event_id`, and knows the calls' ids as the server writes them.
        tells: True where the client asked for `ringback.job` events.
        come_to: how far the conversation has come, as a position in its log.
    """

    floor: Floor
    ids: Ids
    tells: bool
    come_to: Callable[[], int]
    _sent: dict[str, tuple[UUID, str, str]] = field(default_factory=dict)
    """By item id, and by call_id: not every server keeps the ids that a client gives."""
    _past: dict[str, str] = field(default_factory=dict)
    _errands: dict[str, str] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set)

    def give(self, job_id: UUID, call_id: str, tool: str, state: str, rendering: Rendering, now: float) -> list[Action]:
        """The answer enters the conversation, even while a response runs; speaking of it is another matter."""
        item_id = output_item_id(job_id)
        if item_id in self._sent:
            # It was answered without a row, and the row came after all.
            return [Acknowledge(job_id, self.come_to())] if self.floor.has_echoed(call_id) else []
        self._sent[item_id] = self._sent[self.ids.of_server(call_id)] = (job_id, call_id, tool)
        self._land(call_id, rendering, now)
        written, whose = self._write(item_id, call_id, rendering.output), (job_id, call_id, tool)
        return [written, *self.tell(*whose, state), *self._show(*whose, rendering)]

    def remember(self, call: PastCall, reading: Circumstances, now: float) -> list[Action]:
        """A call of an earlier epoch: its answer is among the items of the past, or still to come."""
        rendering = call.rendering(reading)
        if rendering is None:
            self.floor.call_began(call.call_id, call.response_id)
            return []
        self._past[output_item_id(call.job_id)] = call.call_id
        if not call.is_news:
            return []
        self._land(call.call_id, rendering, now)
        whose = call.job_id, call.call_id, call.tool
        return [*self.tell(*whose, "replayed"), *self._show(*whose, rendering)]

    def past_echoed(self, item: Event) -> None:
        """The rebuilt conversation has an answer of the past: who speaks from now on knows of it."""
        call_id = self._past.get(str(item.get("id")))
        if call_id is not None:
            self.floor.result_echoed(call_id)

    def echoed(self, item: Event) -> list[Action]:
        """The server shows an item that it has: one of ours is acknowledged, once."""
        sent = self._sent.get(str(item.get("id")))
        if sent is None and item.get("type") == "function_call_output":
            sent = self._sent.get(str(item.get("call_id")))
        if sent is None:
            return []
        job_id, call_id, tool = sent
        if not self.floor.result_echoed(call_id):
            return []
        return [Acknowledge(job_id, self.come_to()), *self.tell(job_id, call_id, tool, "acked")]

    def refused(self, event_id: object, code: object) -> list[Action]:
        """The conversation did not take an answer; [] where the event was none.

        A call that it knows gets another one, once: that there was a result, which cannot be read here.
        """
        item_id = self._errands.pop(str(event_id), None)
        if item_id is None:
            return []
        job_id, call_id, _ = self._sent[item_id]
        warning = Warn(f"the conversation did not take the answer of job {job_id}: {code}")
        if code == INVALID_CALL or call_id in self._unreadable:
            self.floor.call_closed(call_id)
            return [warning]
        self._unreadable.add(call_id)
        return [warning, self._write(item_id, call_id, json.dumps(UNREADABLE))]

    def _write(self, item_id: str, call_id: str, output: str) -> SendToModel:
        known_as = self.ids.of_server(call_id)
        item = {"id": item_id, "type": "function_call_output", "call_id": known_as, "output": output}
        create = self.ids.ours("output", {"type": "conversation.item.create", "item": item})
        self._errands[create["event_id"]] = item_id
        return SendToModel(create)

    def progressed(self, call: Running | None, note: str) -> list[Action]:
        """What a running call last said of itself: news once."""
        if call is None or call.progress == note:
            return []
        call.progress = note
        return self.tell(call.job_id, call.call_id, call.name, "running", note)

    def tell(self, job_id: UUID, call_id: str, tool: str, state: str, progress: str | None = None) -> list[Action]:
        """A `ringback.job` event, for a client that asked for them."""
        if not self.tells:
            return []
        job = {**_named(job_id, call_id, tool), "state": str(state), **({"progress": progress} if progress else {})}
        return [SendToClient(self.ids.ours("job", {"type": "ringback.job", "job": job}))]

    def _land(self, call_id: str, rendering: Rendering, now: float) -> None:
        if rendering.moment is Moment.NEVER:
            self.floor.call_closed(call_id)
        else:
            self.floor.result_landed(call_id, now, is_patient=rendering.moment is Moment.QUIET)

    def _show(self, job_id: UUID, call_id: str, tool: str, rendering: Rendering) -> list[Action]:
        """A `ringback.result` event, where the tool lets its client see the result, and the client wants to."""
        if not rendering.is_shown:
            return []
        shown = {"type": "ringback.result", "job": _named(job_id, call_id, tool), "result": rendering.shown}
        return [SendToClient(self.ids.ours("result", shown))]


def _named(job_id: UUID, call_id: str, tool: str) -> dict[str, str]:
    return {"id": str(job_id), "call_id": call_id, "tool": tool}
