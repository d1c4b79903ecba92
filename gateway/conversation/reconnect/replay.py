"""A conversation built anew: the items to create in it, made of what is on record.

A new connection to the Realtime API is a new, empty conversation. What it is told, in this order and by these rules
(Realtime API, conversation.item.create):

- messages as text: what the user said, as it was transcribed, and of the assistant what the user heard;
- each call with its own `call_id`, and right behind it the output, where there is one: a result that comes later then
  belongs to a call that the conversation knows;
- never an output without its call, and no more than the model's window has room for: what is long is cut, a picture
  is named, and the oldest goes first; but no call that is still running and no result that is news (`memory`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from gateway.conversation.actions import Event
from gateway.conversation.call_table import Call
from gateway.conversation.item_log import NOT_TRANSCRIBED
from gateway.conversation.reconnect.memory import SMALL_BUDGET, Entry, fitting
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.tool_calls.rendering import DeliveryContext
from gateway.upstream.events import Item
from ringback.jobs.outcomes import cut, from_row
from ringback.jobs.states import IN_A_CONVERSATION, Approval, CancelReason, Delivery, Effect, JobState, output_item_id
from ringback.statements.jobs.transitions import outcome_of
from ringback.statements.sessions.items import IMAGE_LEFT_OUT, Message
from ringback.tools.behavior import ToolBehavior

AT_THE_END = 2**62
"""The place of a call that was recorded without one."""
UNWANTED = frozenset({CancelReason.CALLER, CancelReason.BARGE_IN, CancelReason.REPLACED})
"""Reasons of which the user knows: the end of such a call need not be told."""


@dataclass(frozen=True, slots=True)
class ConversationHistory:
    """All that a conversation brings along from its earlier epochs."""

    messages: Sequence[Message] = ()
    calls: Sequence[PastCall] = ()
    client_calls: Sequence[Call] = ()
    """Of functions that the client brings: no row tells of them, but the process that holds the session knows."""

    @property
    def places(self) -> list[tuple[str, int]]:
        """The calls' items, and where they stand."""
        return [(call.item_id or "", call.position) for call in self.calls if call.position != AT_THE_END]

    @property
    def user_waits(self) -> bool:
        """True if the last message is the user's, spoken, and neither an answer nor a call has followed."""
        last = max(self.messages, key=lambda message: message.position, default=None)
        if last is None or last.role != "user" or any(call.position > last.position for call in self.calls):
            return False
        return last.content[0].get("type") == "input_audio"

    def items(self, context: DeliveryContext | None = None, tokens: int = SMALL_BUDGET) -> list[Event]:
        """What to create, the oldest first, as far as it fits.

        Args:
            context: what is true of all that is read here.
            tokens: of the model's window, for all of it.
        """
        context = context or DeliveryContext()
        entries = [_message_entry(message) for message in self.messages if _says_something(message)]
        entries += [_call_entry(call, context) for call in self.calls]
        entries += [_client_call_entry(call) for call in self.client_calls]
        return fitting(entries, tokens)

    def outputs(self, context: DeliveryContext, id_of: Callable[[UUID], str]) -> dict[str, Event | None]:
        """Return the outputs that a gateway before this one may have sent, by id; None: in words that are not known.

        Args:
            context: what is true of all that is read here.
            id_of: returns the id of the item that brings the result of a job.
        """
        found: dict[str, Event | None] = {}
        for call in self.calls:
            if call.may_be_there:
                told, item_id = call.rendering(context), id_of(call.job_id)
                item = {"id": item_id, "type": "function_call_output", "call_id": call.call_id}
                found[item_id] = None if told is None else {**item, "output": told.output}
        return found


def history_of(
    messages: Iterable[Any], calls: Iterable[Any], epoch: int | None, untold: Container[str] = ()
) -> ConversationHistory:
    """Return what one transaction read: rows of `items.log_of_messages` and of `items.log_of_calls`.

    Args:
        epoch: whose conversation is built anew; None: it is the same conversation all along.
        untold: call_ids whose result is known not to have been told.
    """
    said = [Message(row.position, row.item_id, row.role, row.content) for row in messages]
    spoken = {
        role: max((message.position for message in said if message.role == role), default=0)
        for role in ("assistant", "user")
    }
    return ConversationHistory(said, [_call(row, epoch, spoken, untold) for row in calls])


def _call(row: Any, epoch: int | None, spoken: dict[str, int], untold: Container[str]) -> PastCall:
    enters = row.delivery in IN_A_CONVERSATION and epoch in (None, row.delivered_epoch)
    position = AT_THE_END if row.position is None else row.position
    # The model has said no word since: the response that was to tell of it did not come.
    said_nothing = row.delivery != Delivery.HEARD and spoken["assistant"] <= (row.answer_position or 0)
    is_news = enters and (row.call_id in untold or said_nothing)
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
        behavior=ToolBehavior.from_data(row.manners),
        # What was told in time does not go out of date afterwards.
        age=float(row.took if enters and not is_news else row.age),
        is_late=position < spoken["user"],
        is_of_last_turn=spoken["user"] < position < AT_THE_END,
        is_action=row.effect != Effect.PURE,
        is_unwanted=row.cancel_reason in UNWANTED,
        waits_for_yes=row.state == JobState.PENDING and row.approval == Approval.REQUESTED,
        joined_to=row.joined_to,
        may_be_there=row.delivery in (Delivery.READY, *IN_A_CONVERSATION),
    )


def _call_entry(call: PastCall, context: DeliveryContext) -> Entry:
    is_wanted = call.is_news or call.outcome is None
    return Entry(call.position, lambda limit: _call_items(call, context, limit), is_wanted)


def _call_items(call: PastCall, context: DeliveryContext, limit: int | None) -> list[Event]:
    """Return the items to create: the call, and its output where there is one, cut at `limit` characters."""
    if limit is not None:
        context = replace(context, max_chars=min(limit, context.max_chars))
    asked = {"type": "function_call", "call_id": call.call_id, "name": call.tool}
    asked["arguments"] = _as_text(call.arguments)
    items, told = [_with_id(asked, call.item_id)], call.rendering(context)
    if told is not None:
        output = {"type": "function_call_output", "call_id": call.call_id, "output": told.output}
        items.append({"id": output_item_id(call.job_id), **output})
    return items


def _as_text(arguments: Any) -> str:
    """As the Realtime API takes them; not every server writes them so."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _client_call_entry(call: Call) -> Entry:
    def write(limit: int | None) -> list[Event]:
        said = call.item or Item()
        text = _as_text(said.arguments)
        asked = {"type": "function_call", "call_id": said.call_id, "name": call.name, "arguments": text}
        items = [_with_id(asked, said.id)]
        if call.output is not None:
            output = call.output if limit is None else cut(call.output, limit)
            items.append({"type": "function_call_output", "call_id": asked["call_id"], "output": output})
        return items

    return Entry(AT_THE_END if call.position is None else call.position, write, call.is_running)


def _message_entry(message: Message) -> Entry:
    def write(limit: int | None) -> list[Event]:
        parts = [_part(part, limit) for part in message.content]
        content = [part for part in parts if part.get("text") != ""]
        item = {"type": "message", "role": message.role, "content": content}
        return [_with_id(item, message.item_id)]

    return Entry(message.position, write)


def _says_something(message: Message) -> bool:
    """Return False for an answer of which the user heard no word."""
    return any(part["type"] == "input_audio" or part.get("text") != "" for part in message.content)


def _part(part: dict[str, Any], limit: int | None) -> dict[str, Any]:
    if part["type"] == "input_image":
        return part if limit is None else {"type": "input_text", "text": IMAGE_LEFT_OUT}
    text = part.get("text") or (NOT_TRANSCRIBED if part["type"] == "input_audio" else "")
    kind = "input_text" if part["type"] == "input_audio" else part["type"]
    return {"type": kind, "text": text if limit is None else cut(text, limit)}


def _with_id(item: Event, item_id: str | None) -> Event:
    return {"id": item_id, **item} if item_id else item
