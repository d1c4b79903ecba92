"""Intake of calls: a finished function_call item becomes a job for a worker, or is answered at once.

The same events come for responses that were cancelled or cut off, with arguments that may stop in mid-word: only an
item whose status is "completed" counts (Realtime API, response.output_item.done). An item without a status waits for
its response, and is as complete as that. A call of a tool that must not run twice waits for it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from msgspec import structs

from gateway.conversation.actions import Action, Cancel, RecordCall
from gateway.conversation.call_table import Call, CallTable, Owner, Stage
from gateway.conversation.event_ids import EventIds, storable
from gateway.conversation.tool_calls.arguments import ArgumentSchemas, parse
from gateway.conversation.tool_calls.builtin_tools import ENDS, BuiltinTools
from gateway.conversation.tool_calls.client_tools import ClientTools
from gateway.conversation.tool_calls.loop_guard import ToolLoopGuard
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.tool_calls.rendering import DeliveryContext, Rendering, render
from gateway.conversation.turn_taking.late_results import Arrival
from gateway.conversation.turns import UserTurns
from gateway.upstream.events import MAX_ID_CHARS, Item, Response
from ringback.agents.agent import Agent
from ringback.ids import job_id_of
from ringback.jobs.outcomes import Outcome, failed, unknown
from ringback.jobs.states import CancelReason, Effect, JobState
from ringback.statements.jobs.admission import QUEUE_WAIT_SECONDS, NewJob
from ringback.tools.behavior import OnDuplicate, ToolBehavior
from ringback.tools.declaration import OURS
from ringback.tools.spec import ToolSpec

UNAVAILABLE = failed("temporarily_unavailable", "The function cannot be run right now. Say so, and offer to try later.")
"""While Postgres is away for too long. It was not run, or may be run again."""
UNSAID = (None, "in_progress")
"""What servers unlike OpenAI's say of a finished item: neither that it is complete, nor that it is not."""
IN_OUR_WORDS = frozenset({JobState.CANCELLED, JobState.TIMED_OUT})
"""Ends whose message is the gateway's and not the tool's."""
Waits = Callable[[str], float | None]
"""How long a call is expected to wait for a worker of this queue, in seconds; None if that is not known."""


def unknown_wait(_queue: str) -> float | None:
    """Stand in for the waits of a conversation that is not told how long its queues are."""
    return None


@dataclass(slots=True)
class CallIntake:
    """Intake of one conversation's calls: each call_id once, by the first event that shows it."""

    session_id: UUID
    agent: Agent
    tools: dict[str, ToolSpec]
    calls: CallTable
    turns: UserTurns
    builtin_tools: BuiltinTools
    loop_guard: ToolLoopGuard
    clients: ClientTools
    ids: EventIds
    place: Callable[[str | None], int]
    """Returns the position of an item in the conversation."""
    waits: Waits = unknown_wait
    _schemas: ArgumentSchemas = field(default_factory=ArgumentSchemas)

    def item_added(self, item: Item, response_id: str | None) -> None:
        """Note a call of the client's function as it starts: the client may answer it before the item is whole."""
        if item.type != "function_call" or not self.clients.owns(str(item.name)):
            return
        call_id = item.call_id
        if call_id and self.ids.of_row(call_id) not in self.calls:
            self._note(item, response_id)

    def item_done(self, item: Item, response_id: str | None, now: float) -> list[Action]:
        """Take in a finished item; return the actions if it is a completed call that is new, else []."""
        call_id = item.call_id
        if item.type != "function_call" or not call_id:
            return []
        known = self.calls.get(self.ids.of_row(call_id))
        if known is not None and known.is_whole:
            return []
        if item.status in UNSAID and response_id is not None:
            call = known or self._note(item, response_id)
            call.item = item
            return []
        if item.status not in ("completed", None):
            if known is not None and known.is_running:
                known.go(Stage.SILENT)
            return []
        call = known or self._note(item, response_id)
        call.item, call.is_whole = item, True
        if call.owner is Owner.CLIENT:
            if call.stage is Stage.ASKED:
                call.go(Stage.RUNNING)
            return []
        tool = self.tools.get(call.name)
        if tool is not None and tool.effect is Effect.AT_MOST_ONCE and response_id is not None:
            return []  # until its response is complete
        return self._decide(call, tool, now)

    def response_done(self, response: Response, now: float) -> list[Action]:
        """Take in the calls that waited for the end of this response, and those that the server shows only now."""
        response_id = str(response.id)
        completed = response.status == "completed"
        actions = list[Action]()
        if completed:
            unsaid = [call.item for call in self.calls.of_response(response_id) if call.item and not call.is_whole]
            for item in (*(response.output or ()), *unsaid):
                actions += self.item_done(_as_complete(item), response_id, now)
        for call in self.calls.of_response(response_id):
            if call.stage is not Stage.ASKED or call.job_id is not None:
                continue
            if not call.is_whole:
                call.go(Stage.SILENT)
                continue
            tool = self.tools.get(call.name)  # none: the model was told of a version that it refused
            actions += self._decide(call, tool, now, None if completed else _interrupted(call.name))
        return actions

    def _note(self, item: Item, response_id: str | None) -> Call:
        """Begin the record of a call."""
        owner = Owner.SERVER if item.name in self.tools else Owner.GATEWAY
        if self.clients.owns(str(item.name)):
            owner = Owner.CLIENT
        call_id = self.ids.of_row(str(item.call_id))
        return self.calls.add(
            Call(call_id, storable(item.name), owner, response_id=response_id, turn=self.turns.number)
        )

    def remember(self, past: PastCall, now: float) -> tuple[PastCall, Call]:
        """Take over a call of an earlier epoch; it is under way until its result is there.

        Return it with what is known in this process alone, and its record.
        """
        known = self.calls.get(past.call_id)
        call = known if known is not None and known.is_running else self.calls.add(past.as_call(self.turns.number, now))
        if past.tool in ENDS and (past.outcome is None or past.outcome.state == JobState.SUCCEEDED):
            self.builtin_tools.remember_end(call, now, is_wanted=known is None and past.is_of_last_turn)
        if past.outcome is not None:
            if past.is_news or not past.is_late:
                self._taint(past.behavior, past.outcome)
            return (replace(past, is_unwanted=True) if call.is_unwanted else past), call
        if call.waits_for_yes and not past.waits_for_yes:
            call.may_begin(now, self.turns.number)
        return past, call

    def answered(self, call_id: str, outcome: Outcome, context: DeliveryContext, now: float) -> Rendering:
        """Return how the result of a call is put into the conversation."""
        call = self.calls.get(call_id)
        if call is None or call.owner is not Owner.SERVER or not call.is_running:
            return render(outcome, ToolBehavior(), Arrival(is_unwanted=call is not None and call.is_unwanted), context)
        self._taint(call.behavior, outcome)
        arrival = Arrival(
            age=call.age(now),
            is_late=self.turns.number > call.turn,
            is_unwanted=call.is_unwanted,
            # Also if it was denied after it had been approved elsewhere: the user believes that it was not done.
            is_action=call.is_action or call.is_denied,
        )
        return render(outcome, call.behavior, arrival, context)

    def _taint(self, behavior: ToolBehavior, outcome: Outcome) -> None:
        """Note if a result, or an error message, brings words of strangers into the conversation."""
        if behavior.is_untrusted and outcome.state not in IN_OUR_WORDS:
            self.turns.taint()

    def _decide(self, call: Call, tool: ToolSpec | None, now: float, refusal: Outcome | None = None) -> list[Action]:
        item, call.item = call.item or Item(), None
        arguments, problem = parse(item.arguments)
        item_id = storable(item.id, MAX_ID_CHARS) if item.id is not None else None
        job = NewJob(
            # Named by the call, so that recording it twice means the same row.
            id=job_id_of(self.session_id, call.call_id),
            session_id=self.session_id,
            call_id=call.call_id,
            response_id=storable(call.response_id, MAX_ID_CHARS) or None,
            name=call.name,
            arguments=arguments,
            tool=tool,
            item_id=item_id,
            position=self.place(item_id),
        )
        call.job_id = job.id
        self.loop_guard.new_turn(self.turns.number)
        outcome = refusal or self.loop_guard.refuse(call.name, now) or problem
        actions = list[Action]()
        if outcome is None and item.name in OURS:
            outcome, actions = self.builtin_tools.serve(call, arguments, now)
        outcome = outcome or self._refuse(call, tool, arguments)
        if outcome is not None or tool is None:
            call.owner = Owner.GATEWAY
            return [*actions, RecordCall(job, outcome)]
        return self._begin(call, job, tool, now)

    def _begin(self, call: Call, job: NewJob, tool: ToolSpec, now: float) -> list[Action]:
        """Begin a call that is not refused. If the same call runs already, the tool says what to do."""
        same, actions = self._same(call, job.arguments), list[Action]()
        rule = tool.behavior.on_duplicate
        if same is not None and rule is OnDuplicate.REJECT:
            call.owner = Owner.GATEWAY
            return [RecordCall(job, _running_already(job.name))]
        if same is not None and rule is OnDuplicate.REPLACE and same.job_id is not None:
            self.calls.unwant(same)
            actions.append(Cancel(same.job_id, CancelReason.REPLACED))
        call.joined_to = same.job_id if same is not None and rule is OnDuplicate.JOIN else None
        # If words of strangers have come in, a tool that changes something needs the user's approval.
        is_risky = self.turns.is_tainted and tool.effect is not Effect.PURE
        call.waits_for_yes = (tool.behavior.requires_approval or is_risky) and call.is_own
        expected = self.waits(tool.queue) or 0.0
        call.queue_seconds = expected if expected > self.agent.busy_seconds else 0.0
        call.arguments, call.behavior, call.is_action = job.arguments, tool.behavior, tool.effect is not Effect.PURE
        call.began_at, call.turn = now, self.turns.number
        return [*actions, RecordCall(structs.replace(job, joined_to=call.joined_to, needs_approval=call.waits_for_yes))]

    def _same(self, call: Call, arguments: Any) -> Call | None:
        return self.calls.same(call.name, arguments, but=call)

    def _refuse(self, call: Call, tool: ToolSpec | None, arguments: Any) -> Outcome | None:
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return failed("unknown_tool", f"There is no function {call.name!r}. The functions are: {known}.")
        running = len(self.calls.running()) - 1  # without this one
        if running >= self.agent.max_calls_at_once:
            return failed(
                "too_many_calls",
                f"{running} functions are still running, which is the limit; wait for their results.",
            )
        expected = self.waits(tool.queue) or 0.0
        if expected > QUEUE_WAIT_SECONDS and not self._costs_nothing(call, tool, arguments):
            return failed(
                "busy",
                f"All workers for this are busy: it would take about {round(expected)} seconds to begin, which "
                "is too long. It was not begun. Say so, and offer to try again later.",
            )
        return self._schemas.refuse(tool, arguments)

    def _costs_nothing(self, call: Call, tool: ToolSpec, arguments: Any) -> bool:
        """Return True if the same call runs already, so that this one needs no worker."""
        spares = tool.behavior.on_duplicate in (OnDuplicate.JOIN, OnDuplicate.REJECT)
        return spares and self._same(call, arguments) is not None


def unrecorded(record: RecordCall, *, may_be_running: bool = False) -> Outcome:
    """Return what the model is told of a call whose row was not committed in time."""
    if record.outcome is not None:
        return record.outcome
    if record.job.joined_to is not None:
        return _running_already(record.job.name)
    may_be_repeated = record.job.tool is None or record.job.tool.effect is Effect.PURE
    return UNAVAILABLE if may_be_repeated or not may_be_running else unknown()


def as_answered(record: RecordCall) -> RecordCall:
    """Return the record of such a call for the history, if it turns out that it was not recorded and not run."""
    return RecordCall(structs.replace(record.job, joined_to=None, needs_approval=False), unrecorded(record))


def _as_complete(item: Item) -> Item:
    """Return an item of a complete response: complete, unless it says otherwise."""
    return structs.replace(item, status="completed") if item.status in UNSAID else item


def _running_already(name: str) -> Outcome:
    return failed(
        "already_running",
        f"The same call of {name} is still running, and this one was not begun. Wait for the result of the first one.",
    )


def _interrupted(name: str) -> Outcome:
    return failed(
        "response_interrupted",
        f"{name} was not run: the turn that asked for it was interrupted. Call it again if it is still wanted.",
    )
