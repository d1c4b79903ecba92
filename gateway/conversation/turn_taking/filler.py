"""The words of fillers and questions: what the model is told to say while something is still running.

Each is a message of the role `system` in the conversation, and a response that calls no function. So the instructions
and tools of the session stay as they are, and with them the server's prompt cache; and the user can talk over it. The
message is deleted when its response is over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from gateway.conversation.actions import Event
from gateway.conversation.call_table import Call
from gateway.conversation.event_names import CREATE_ITEM
from gateway.conversation.turn_taking.rules import Ask, is_queued
from gateway.conversation.turn_taking.slot import By
from gateway.protocol import OUR_MARK, OURS
from gateway.upstream.events import Response

MAX_TOLD_CHARS = 1_000
"""Of the arguments that the user is asked about: a listener takes in no more."""
SOON_SECONDS = 5
"""An expected wait is told in steps of so many seconds: it is a guess."""
ITEM = OURS + "say_"
"""How the ids of these messages begin; the rest is the event id of their create."""


def item_of(create: str) -> str:
    """Return the id of the message that belongs to this create."""
    return ITEM + create.removeprefix(OURS)


def is_filler_item(item_id: object) -> bool:
    """Return True for the id of such a message."""
    return isinstance(item_id, str) and item_id.startswith(ITEM)


def say(ask: Ask, create: Event, message_id: str, now: float) -> tuple[Event, Event]:
    """Return the message that tells the model what to say, and `create`, completed, which has it said."""
    text = _question(ask.about) if ask.by is By.QUESTION else _waiting(ask.about, now)
    content = [{"type": "input_text", "text": text}]
    item = {"id": item_of(create["event_id"]), "type": "message", "role": "system", "content": content}
    response = {"tool_choice": "none", "metadata": {OUR_MARK: create["event_id"]}}
    message = {"type": CREATE_ITEM, "event_id": message_id, "item": item}
    return message, {**create, "response": response}


def mark_of(response: Response) -> str | None:
    """Return the event id of the filler or question that this response is, where it says so."""
    mark = response.metadata.get(OUR_MARK) if isinstance(response.metadata, dict) else None
    return mark if isinstance(mark, str) else None


def _waiting(about: Iterable[Call], now: float) -> str:
    about = list(about)
    said = dict.fromkeys(call.behavior.say for call in about if call.behavior.say and not is_queued(call))
    how = "In one short sentence, tell the user that you are still at it."
    if said:
        how = f'Say exactly this, in the language of the conversation: "{" ".join(said)}"'
    return (
        f"{how} {' '.join(_state(call, now) for call in about)} "
        "There is no result yet: do not give one, do not guess one, and do not promise anything else."
    )


def _state(call: Call, now: float) -> str:
    if is_queued(call):
        left = call.queue_seconds - call.age(now)
        about = max(SOON_SECONDS, SOON_SECONDS * round(left / SOON_SECONDS))
        return f"All workers for {call.name} are busy, so it will take about {about} seconds to begin: say so."
    # Words of strangers are no part of what the model is told to say.
    reports = call.progress and not call.behavior.is_untrusted
    progress = f"; it reports: {call.progress}" if reports else ""
    return f"{call.name} has been running for {round(call.age(now))} seconds{progress}."


def _question(asked: Iterable[Call]) -> str:
    listed = "; ".join(f"{call.name} with {_told(call.arguments)}" for call in asked)
    return (
        f"Before this is done, the user must agree to it: {listed}. In one short sentence, say what would be done, and "
        "ask whether you may. It has not been done yet: do not say that it has. Then wait for the answer."
    )


def _told(arguments: object) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    return text if len(text) <= MAX_TOLD_CHARS else f"{text[:MAX_TOLD_CHARS]}… (and more, which is too long to say)"
