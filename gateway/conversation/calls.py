"""A finished function_call item becomes a job for a worker, or an answer at once.

The same events come for responses that were cancelled or cut off, with arguments that may stop in mid-word: only an
item whose status is "completed" counts (Realtime API, response.output_item.done). An item that says no such thing of
itself waits for its response, and is as complete as that. So does a tool that must not run twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from gateway.conversation.actions import Action, Cancel, Event, RecordCall
from gateway.conversation.arguments import Schemas, parse
from gateway.conversation.board import Board, Running
from gateway.conversation.clienttools import ClientTools
from gateway.conversation.guard import Guard
from gateway.conversation.ids import MAX_ID_CHARS, Ids, storable
from gateway.conversation.own import OwnTools
from gateway.conversation.rebuild import PastCall
from gateway.conversation.renderings import Circumstances, Rendering, render
from ringback.agents import Agent
from ringback.declaring import OURS
from ringback.jobs import CancelReason, Effect, JobState
from ringback.manners import Manners, OnDuplicate
from ringback.outcomes import Outcome, failed, unknown
from ringback.statements.admission import QUEUE_WAIT_SECONDS, NewJob
from ringback.tools import Announcement

UNAVAILABLE = failed("temporarily_unavailable", "The function cannot be run right now. Say so, and offer to try later.")
"""While Postgres is away for too long. It was not run, or may be run again."""
UNSAID = (None, "in_progress")
"""What servers unlike OpenAI's say of a finished item: neither that it is complete, nor that it is not."""
IN_OUR_WORDS = frozenset({JobState.CANCELLED, JobState.TIMED_OUT})
"""Ends of which the tool says nothing itself."""
Waits = Callable[[str], float | None]
"""How long a call is expected to wait for a worker of this queue, in seconds; None where nothing is known."""


def nobody_knows(_queue: str) -> float | None:
    """Of a conversation that is not told how long its queues are."""
    return None


@dataclass(slots=True)
class Calls:
    """The calls of one conversation: each call_id once, whichever of the server's events shows it first."""

    session_id: UUID
    agent: Agent
    tools: dict[str, Announcement]
    board: Board
    own: OwnTools
    guard: Guard
    clients: ClientTools
    ids: Ids
    waits: Waits = nobody_knows
    _known: set[str] = field(default_factory=set)
    _unsaid: dict[str, list[Event]] = field(default_factory=dict)
    """By response, the items that wait to be told complete."""
    _waiting: dict[str, list[Event]] = field(default_factory=dict)
    _schemas: Schemas = field(default_factory=Schemas)

    def item_done(self, item: Event, response_id: str | None, now: float) -> list[Action]:
        """What to do about a finished item; [] for anything but a completed call that is new."""
        call_id = item.get("call_id")
        if item.get("type") != "function_call" or not isinstance(call_id, str) or not call_id:
            return []
        if item.get("status") in UNSAID and response_id is not None:
            self._unsaid.setdefault(response_id, []).append(item)
            return []
        if item.get("status") not in ("completed", None) or self.ids.of_row(call_id) in self._known:
            return []
        self._known.add(self.ids.of_row(call_id))
        if self.clients.owns(str(item.get("name"))):
            self.clients.called(call_id)
            return []
        tool = self.tools.get(str(item.get("name")))
        if tool is not None and tool.effect is Effect.AT_MOST_ONCE and response_id is not None:
            self._waiting.setdefault(response_id, []).append(item)
            return []
        return self._decide(item, response_id, tool, now)

    def response_done(self, response: Event, now: float) -> list[Action]:
        """The calls that waited for the end of this response, and any the server showed only here."""
        response_id = response.get("id")
        completed = response.get("status") == "completed"
        unsaid = self._unsaid.pop(str(response_id), [])
        actions = [
            action
            for item in ([*(response.get("output") or []), *unsaid] if completed else [])
            if isinstance(item, dict)
            for action in self.item_done(_as_complete(item), response_id, now)
        ]
        for item in self._waiting.pop(str(response_id), []):
            tool = self.tools.get(str(item["name"]))  # none: the model was told of a version that it refused
            refusal = None if completed else _interrupted(str(item["name"]))
            actions += self._decide(item, response_id, tool, now, refusal)
        return actions

    def remember(self, call: PastCall, now: float) -> PastCall:
        """A call of an earlier epoch: it is no news, and is under way until its answer is there.

        Returns it with what is known here and in no row.
        """
        self._known.add(call.call_id)
        if call.outcome is not None:
            if call.is_news or not call.is_late:
                self._taint(call.manners, call.outcome)
            ended = self.board.ended(call.call_id)
            return replace(call, is_unwanted=True) if ended is not None and ended.is_unwanted else call
        known = self.board.by_call(call.call_id)
        if known is None:
            self.board.began(call.running(self.board.turn, now))
        elif known.waits_for_yes and not call.waits_for_yes:
            known.may_begin(now, self.board.turn)
        return call

    def answered(self, call_id: str, outcome: Outcome, reading: Circumstances, now: float) -> Rendering:
        """The answer of a call is there: how it is put into the conversation."""
        call = self.board.ended(call_id)
        if call is None:
            return render(outcome, Manners(), reading)
        self._taint(call.manners, outcome)
        now_and_here = replace(
            reading,
            age=call.age(now),
            is_late=self.board.is_late(call),
            is_unwanted=call.is_unwanted,
            # Also a no that came after somebody else's yes: the user believes that it was not done.
            is_action=call.is_action or call.is_denied,
        )
        return render(outcome, call.manners, now_and_here)

    def _taint(self, manners: Manners, outcome: Outcome) -> None:
        """A result of strangers, or their own words for what went wrong, enters the conversation."""
        if manners.is_untrusted and outcome.state not in IN_OUR_WORDS:
            self.board.taint()

    def _decide(
        self,
        item: Event,
        response_id: str | None,
        tool: Announcement | None,
        now: float,
        refusal: Outcome | None = None,
    ) -> list[Action]:
        name, call_id = storable(item.get("name")), self.ids.of_row(str(item["call_id"]))
        arguments, problem = parse(item.get("arguments"))
        job = NewJob(
            # Named by the call, so that whoever records it twice means the same row.
            id=uuid5(self.session_id, call_id),
            session_id=self.session_id,
            call_id=call_id,
            response_id=storable(response_id, MAX_ID_CHARS) or None,
            name=name,
            arguments=arguments,
            tool=tool,
            item_id=storable(item["id"], MAX_ID_CHARS) if isinstance(item.get("id"), str) else None,
        )
        self.guard.new_turn(self.board.turn)
        outcome = refusal or self.guard.refuse(name, now) or problem
        if outcome is None and item.get("name") in OURS:
            outcome, actions = self.own.serve(name, arguments, now)
            return [*actions, RecordCall(job, outcome)]
        outcome = outcome or self._refuse(name, tool, arguments)
        if outcome is not None or tool is None:
            return [RecordCall(job, outcome)]
        return self._begin(job, tool, now)

    def _begin(self, job: NewJob, tool: Announcement, now: float) -> list[Action]:
        """Nothing speaks against it but, perhaps, that the same call is running already."""
        same, actions = self.board.same(job.name, job.arguments), list[Action]()
        rule = tool.manners.on_duplicate
        if same is not None and rule is OnDuplicate.REJECT:
            return [RecordCall(job, _running_already(job.name))]
        if same is not None and rule is OnDuplicate.REPLACE:
            self.board.unwant(same)
            actions.append(Cancel(same.job_id, CancelReason.REPLACED))
        joined_to = same.job_id if same is not None and rule is OnDuplicate.JOIN else None
        # On the strength of a stranger's words nothing is changed that the user has not agreed to.
        is_risky = self.board.is_tainted and tool.effect is not Effect.PURE
        needs_yes = (tool.manners.requires_approval or is_risky) and joined_to is None
        expected = self.waits(tool.queue) or 0.0
        self.board.began(
            Running(
                job_id=job.id,
                call_id=job.call_id,
                name=job.name,
                arguments=job.arguments,
                manners=tool.manners,
                is_action=tool.effect is not Effect.PURE,
                began_at=now,
                turn=self.board.turn,
                joined_to=joined_to,
                waits_for_yes=needs_yes,
                queue_seconds=expected if expected > self.agent.busy_seconds else 0.0,
            )
        )
        return [*actions, RecordCall(replace(job, joined_to=joined_to, needs_approval=needs_yes))]

    def _refuse(self, name: str, tool: Announcement | None, arguments: Any) -> Outcome | None:
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return failed("unknown_tool", f"There is no function {name!r}. The functions are: {known}.")
        if len(self.board) >= self.agent.max_calls_at_once:
            return failed(
                "too_many_calls",
                f"{len(self.board)} functions are still running, which is the limit; wait for their results.",
            )
        expected = self.waits(tool.queue) or 0.0
        if expected > QUEUE_WAIT_SECONDS and not self._costs_nothing(tool, arguments):
            return failed(
                "busy",
                f"Everybody who could do this is busy: it would take about {round(expected)} seconds to begin, which "
                "is too long. It was not begun. Say so, and offer to try again later.",
            )
        return self._schemas.refuse(tool, arguments)

    def _costs_nothing(self, tool: Announcement, arguments: Any) -> bool:
        """The same call runs already, and this one needs no worker of its own."""
        spares = tool.manners.on_duplicate in (OnDuplicate.JOIN, OnDuplicate.REJECT)
        return spares and self.board.same(tool.name, arguments) is not None


def unrecorded(record: RecordCall, *, may_be_running: bool = False) -> Outcome:
    """What the model is told of a call whose row could not be had in time."""
    if record.outcome is not None:
        return record.outcome
    if record.job.joined_to is not None:
        return _running_already(record.job.name)
    may_be_repeated = record.job.tool is None or record.job.tool.effect is Effect.PURE
    return UNAVAILABLE if may_be_repeated or not may_be_running else unknown()


def as_answered(record: RecordCall) -> RecordCall:
    """The record of such a call, for the history, where it turns out that it was not recorded: it was not run."""
    return RecordCall(replace(record.job, joined_to=None, needs_approval=False), unrecorded(record))


def _as_complete(item: Event) -> Event:
    """An item of a response that is complete, as far as it does not say otherwise."""
    return {**item, "status": "completed"} if item.get("status") in UNSAID else item


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
