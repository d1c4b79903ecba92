"""A conversation built anew: the items to create in it, out of what is on record.

A new connection to the Realtime API is a new, empty conversation. What it is told, in this order and by these rules
(Realtime API, conversation.item.create):

- messages as text: what the user said, as it was transcribed, and of the assistant what the user heard;
- each call with its own `call_id`, and right behind it the output, where there is one: a result that comes later then
  belongs to a call that the conversation knows;
- never an output without its call, and nothing beyond a bound: the oldest goes first, but no call that is still
  running and no result that nobody has told yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from gateway.conversation.actions import Event
from gateway.conversation.call_table import Call
from gateway.conversation.log import NOT_TRANSCRIBED
from gateway.conversation.renderings import Circumstances, Rendering, render
from ringback.jobs import Approval, CancelReason, Delivery, Effect, JobState, output_item_id
from ringback.manners import Manners
from ringback.outcomes import Outcome, from_row
from ringback.statements.items import Message
from ringback.statements.jobs import outcome_of

MAX_CHARS = 48_000
"""About 12,000 tokens: leaves room for the talk to come, even in the smallest window (32,768 tokens)."""
AT_THE_END = 2**62
"""The place of a call that was recorded without one."""
UNWANTED = frozenset({CancelReason.CALLER, CancelReason.BARGE_IN, CancelReason.REPLACED})
"""Whoever cancelled it knows: nobody needs to be told of it."""


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call of an earlier epoch. `outcome` is None while it runs."""

    job_id: UUID
    position: int
    item_id: str | None
    call_id: str
    response_id: str | None
    tool: str
    arguments: Any
    outcome: Outcome | None = None
    is_news: bool = False
    """Nobody has told the user of its result."""
    manners: Manners = field(default_factory=Manners)
    age: float = 0.0
    """Seconds from when it was asked for: until now, or until its answer was there, where that has been told."""
    is_late: bool = False
    """The user has said something since."""
    is_action: bool = False
    is_unwanted: bool = False
    """It was cancelled by the caller, or on their account."""
    waits_for_yes: bool = False
    joined_to: UUID | None = None

    def as_call(self, turn: int, now: float) -> Call:
        """Its record in the conversation that waits for its result."""
        return Call(
            call_id=self.call_id,
            name=self.tool,
            response_id=self.response_id,
            job_id=self.job_id,
            arguments=self.arguments,
            manners=self.manners,
            is_action=self.is_action,
            began_at=now - self.age,
            turn=turn - 1 if self.is_late else turn,
            joined_to=self.joined_to,
            waits_for_yes=self.waits_for_yes,
            is_unwanted=self.is_unwanted,
            is_whole=True,
        )

    def rendering(self, reading: Circumstances) -> Rendering | None:
        """Its answer, as this conversation is told it; None while there is none."""
        if self.outcome is None:
            return None
        said = {"is_late": self.is_late, "is_unwanted": self.is_unwanted, "is_action": self.is_action}
        return render(self.outcome, self.manners, replace(reading, age=self.age, **said))

    def events(self, reading: Circumstances) -> list[Event]:
        """The items to create: the call, and its output where there is one."""
        text = self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)
        call = {"type": "function_call", "call_id": self.call_id, "name": self.tool, "arguments": text}
        items, told = [_with_id(call, self.item_id)], self.rendering(reading)
        if told is not None:
            output = {"type": "function_call_output", "call_id": self.call_id, "output": told.output}
            items.append({"id": output_item_id(self.job_id), **output})
        return items


@dataclass(frozen=True, slots=True)
class Past:
    """All that a conversation brings along from its earlier epochs."""

    messages: Sequence[Message] = ()
    calls: Sequence[PastCall] = ()

    @property
    def places(self) -> list[tuple[str, int]]:
        """The calls' items, and where they stand."""
        return [(call.item_id or "", call.position) for call in self.calls if call.position != AT_THE_END]

    @property
    def user_waits(self) -> bool:
        """The last word is the user's, spoken, and it has led to nothing, not even to a call."""
        last = max(self.messages, key=lambda message: message.position, default=None)
        if last is None or last.role != "user" or any(call.position > last.position for call in self.calls):
            return False
        return last.content[0].get("type") == "input_audio"

    def items(self, reading: Circumstances | None = None) -> list[Event]:
        """What to create, the oldest first, as far as it fits; `reading`: what is true of all that is read here."""
        reading = reading or Circumstances()
        entries: list[tuple[int, bool, list[Event]]] = [
            (message.position, False, [item]) for message in self.messages if (item := _message(message)) is not None
        ]
        entries += [(call.position, call.is_news or call.outcome is None, call.events(reading)) for call in self.calls]
        entries.sort(key=lambda entry: entry[0])
        return [item for entry in _newest_that_fit(entries) for item in entry]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a transaction brought: rows of `items.log_of_messages` and of `items.log_of_calls`."""

    messages: Sequence[Any] = ()
    calls: Sequence[Any] = ()

    def past(self, epoch: int, unheard: Iterable[str] = ()) -> Past:
        """`unheard`: call_ids whose result is known not to have been told."""
        messages = [Message(row.position, row.item_id, row.role, row.content) for row in self.messages]
        spoken = {
            role: max((message.position for message in messages if message.role == role), default=0)
            for role in ("assistant", "user")
        }
        return Past(messages, [_call(row, epoch, spoken, frozenset(unheard)) for row in self.calls])


def _call(row: Any, epoch: int, spoken: dict[str, int], unheard: frozenset[str]) -> PastCall:
    enters = row.delivery == Delivery.REPLAYED and row.delivered_epoch == epoch
    position = AT_THE_END if row.position is None else row.position
    # Nothing was said since: whoever was to tell of it did not come to speak.
    is_news = enters and (row.call_id in unheard or spoken["assistant"] <= (row.answer_position or 0))
    return PastCall(
        job_id=row.id,
        position=position,
        item_id=row.item_id,
        call_id=row.call_id,
        response_id=row.response_id,
        tool=row.tool,
        arguments=row.arguments,
        outcome=from_row(**outcome_of(row)) if enters else None,
        is_news=is_news,
        manners=Manners.from_data(row.manners),
        # What was told in time does not go out of date afterwards.
        age=float(row.took if enters and not is_news else row.age),
        is_late=position < spoken["user"],
        is_action=row.effect != Effect.PURE,
        is_unwanted=row.cancel_reason in UNWANTED,
        waits_for_yes=row.state == JobState.PENDING and row.approval == Approval.REQUESTED,
        joined_to=row.joined_to,
    )


def _message(message: Message) -> Event | None:
    parts = [_part(part) for part in message.content]
    content = [part for part in parts if part.get("text") != ""]
    if not content:
        return None
    return _with_id({"type": "message", "role": message.role, "content": content}, message.item_id)


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "input_audio":
        return {"type": "input_text", "text": part.get("text") or NOT_TRANSCRIBED}
    return part


def _with_id(item: Event, item_id: str | None) -> Event:
    return {"id": item_id, **item} if item_id else item


def _newest_that_fit(entries: list[tuple[int, bool, list[Event]]]) -> list[list[Event]]:
    """From the newest back, until the bound is reached; of what is older, only what must be there."""
    kept: list[list[Event]] = []
    room = MAX_CHARS
    for _, must, items in reversed(entries):
        size = sum(len(json.dumps(item, ensure_ascii=False)) for item in items)
        room -= size
        if room >= 0 or must:
            kept.append(items)
    return kept[::-1]
