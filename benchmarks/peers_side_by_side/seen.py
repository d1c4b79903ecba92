"""What a conversation came to, read off the simulator's record: the same rules for every side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers_side_by_side.recording import Entry

COLLISION = "conversation_already_has_active_response"
CALL = "response.function_call_arguments.done"


@dataclass(frozen=True)
class Task:
    """One call. Milliseconds count from the moment the simulator had made the call; None: it never happened.

    Args:
        works_ms: how long its function takes.
        calls: how often the model called it, which it should once.
        delivered_ms: when its result came in upstream: as a function_call_output, or written into a message.
        instead: what it was answered with before that, or in place of it.
        told_ms: when the response began that tells the result.
        told_in: the ids of the responses that tell it.
    """

    name: str
    works_ms: int
    calls: int = 0
    delivered_ms: float | None = None
    instead: str = ""
    told_ms: float | None = None
    told_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """One conversation.

    Args:
        replies: accepted `response.create`s of the client after the call.
        refused: those that were refused because a response was active.
        unanswered: responses to the user's turn that the server could not begin because of one of the client's.
        over_user: responses of the client that began while the user spoke.
    """

    tasks: tuple[Task, ...]
    replies: int = 0
    refused: int = 0
    unanswered: int = 0
    over_user: int = 0


def read(entries: Sequence[Entry], works: Mapping[str, int]) -> Seen:
    """One conversation, over as many connections as it took.

    Args:
        entries: all of it, in order; nothing of another one.
        works: the milliseconds of each call's function, by what it is about.
    """
    calls = {name: [entry for entry in entries if _is_call(entry, name)] for name in works}
    first = min((made[0].ms for made in calls.values() if made), default=None)
    after = [entry for entry in entries if first is not None and entry.ms >= first]
    created = sum(entry.direction == "in" and entry.kind == "response.create" for entry in after)
    errors = [entry.event["error"] for entry in after if entry.kind == "error" and entry.direction == "out"]
    collisions = [error for error in errors if error.get("code") == COLLISION]
    # The simulator echoes the client's event_id; what it could not begin by itself has none.
    refused = sum(bool(error.get("event_id")) for error in collisions)
    return Seen(
        tasks=tuple(_task(after, name, ms, calls[name]) for name, ms in works.items()),
        replies=created - refused,
        refused=refused,
        unanswered=len(collisions) - refused,
        over_user=_over_user(after),
    )


def is_over(entries: Sequence[Entry], works: Mapping[str, int]) -> bool:
    """Everything is told, and no response runs."""
    return all(task.told_ms is not None for task in read(entries, works).tasks) and not _active(entries)


def _is_call(entry: Entry, name: str) -> bool:
    return entry.kind == CALL and f'"{name}"' in str(entry.event.get("arguments"))


def _task(after: Sequence[Entry], name: str, works_ms: int, calls: Sequence[Entry]) -> Task:
    if not calls:
        return Task(name, works_ms)
    call = calls[0]
    phrase, call_id = f"{name} is done", call.event["call_id"]
    items = [(entry.ms - call.ms, entry.event["item"]) for entry in after if _is_item(entry)]
    delivered = next((ms for ms, item in items if phrase in json.dumps(item)), None)
    outputs = [str(item.get("output")) for _, item in items if item.get("call_id") == call_id and "output" in item]
    others = [output for output in outputs if phrase not in output]
    began = {entry.event["response"]["id"]: entry.ms for entry in after if entry.kind == "response.created"}
    told = [response for response, words in _said(after) if phrase in words]
    told_ms = began[told[0]] - call.ms if told and told[0] in began else None
    return Task(name, works_ms, len(calls), delivered, others[0] if others else "", told_ms, tuple(told))


def _is_item(entry: Entry) -> bool:
    return entry.direction == "in" and entry.kind == "conversation.item.create"


def _said(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Each finished response's id and words."""
    for entry in entries:
        if entry.direction == "out" and entry.kind == "response.done":
            response = entry.event["response"]
            parts = [part for item in response.get("output") or [] for part in item.get("content") or []]
            words = " ".join(str(part.get("text") or part.get("transcript") or "") for part in parts)
            yield str(response["id"]), words


@dataclass
class _Line:
    speaking: bool = False
    active: set[str] = field(default_factory=set)


def _over_user(entries: Sequence[Entry]) -> int:
    """The server's own responses begin when the user has finished: those that begin before are the client's."""
    lines: dict[int, _Line] = {}
    over = 0
    for entry in entries:
        line = lines.setdefault(entry.connection, _Line())
        match entry.kind:
            case "input_audio_buffer.speech_started":
                line.speaking = True
            case "input_audio_buffer.speech_stopped":
                line.speaking = False
            case "response.created":
                over += line.speaking
    return over


def _active(entries: Sequence[Entry]) -> bool:
    lines: dict[int, _Line] = {}
    for entry in entries:
        line = lines.setdefault(entry.connection, _Line())
        if entry.direction == "close":
            line.active.clear()
        elif entry.kind == "response.created":
            line.active.add(entry.event["response"]["id"])
        elif entry.kind == "response.done":
            line.active.discard(entry.event["response"]["id"])
    return any(line.active for line in lines.values())
