"""A finished function_call item becomes a job for a worker, or an answer at once.

The same events come for responses that were cancelled or cut off, with arguments that may stop in mid-word: only an
item whose status is "completed" counts (Realtime API, response.output_item.done). A tool that must not run twice
waits until its whole response has completed as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite
from typing import Any
from uuid import UUID, uuid5

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from gateway.conversation.actions import Event, RecordCall
from ringback.agents import Agent
from ringback.jobs import Effect
from ringback.outcomes import Outcome, failed
from ringback.statements.admission import NewJob
from ringback.tools import Announcement

MAX_ARGUMENTS_CHARS = 65_536
"""A model writes a few hundred; more is a fault of its own, and would fill the history."""
MAX_ARGUMENTS_DEPTH = 64
"""Nobody means more, and each of those who read the row would have to climb as deep."""
LARGEST_INTEGER = 2**64
"""As much as any database or language takes for a number; JSON itself knows no end."""


@dataclass(slots=True)
class Calls:
    """The calls of one conversation: each call_id once, whichever of the server's events shows it first."""

    session_id: UUID
    agent: Agent
    tools: dict[str, Announcement]
    _known: set[str] = field(default_factory=set)
    _running: set[str] = field(default_factory=set)
    _waiting: dict[str, list[Event]] = field(default_factory=dict)
    _validators: dict[str, Draft202012Validator] = field(default_factory=dict)

    def item_done(self, item: Event, response_id: str | None) -> RecordCall | None:
        """What to do about a finished item; None for anything but a completed call that is new."""
        if item.get("type") != "function_call" or item.get("status") != "completed":
            return None
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or not call_id or call_id in self._known:
            return None
        self._known.add(call_id)
        tool = self.tools.get(str(item.get("name")))
        if tool is not None and tool.effect is Effect.AT_MOST_ONCE and response_id is not None:
            self._waiting.setdefault(response_id, []).append(item)
            return None
        return self._decide(item, response_id, tool)

    def response_done(self, response: Event) -> list[RecordCall]:
        """The calls that waited for the end of this response, and any the server showed only here."""
        response_id = response.get("id")
        completed = response.get("status") == "completed"
        records = [
            record
            for item in (response.get("output") or [] if completed else [])
            # An item that says nothing of itself is as complete as its response.
            if isinstance(item, dict) and (record := self.item_done({"status": "completed", **item}, response_id))
        ]
        for item in self._waiting.pop(str(response_id), []):
            tool = self.tools[str(item["name"])]
            refusal = None if completed else _interrupted(tool.name)
            records.append(self._decide(item, response_id, tool, refusal))
        return records

    def remember(self, call_id: str, *, is_running: bool) -> None:
        """A call of an earlier epoch: it is no news, and counts while it runs."""
        self._known.add(call_id)
        if is_running:
            self._running.add(call_id)

    def closed(self, call_id: str) -> None:
        """Its answer is on its way: it no longer counts as running."""
        self._running.discard(call_id)

    def _decide(
        self, item: Event, response_id: str | None, tool: Announcement | None, refusal: Outcome | None = None
    ) -> RecordCall:
        arguments, problem = _parse(item.get("arguments"))
        outcome = refusal or problem or self._refuse(str(item.get("name")), tool, arguments)
        call_id = str(item["call_id"])
        if outcome is None:
            self._running.add(call_id)
        job = NewJob(
            # Named by the call, so that whoever records it twice means the same row.
            id=uuid5(self.session_id, call_id),
            session_id=self.session_id,
            call_id=call_id,
            response_id=response_id,
            name=str(item.get("name") or ""),
            arguments=arguments,
            tool=tool,
            item_id=item["id"] if isinstance(item.get("id"), str) else None,
        )
        return RecordCall(job, outcome)

    def _refuse(self, name: str, tool: Announcement | None, arguments: Any) -> Outcome | None:
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return failed("unknown_tool", f"There is no function {name!r}. The functions are: {known}.")
        if len(self._running) >= self.agent.max_calls_at_once:
            return failed(
                "too_many_calls",
                f"{len(self._running)} functions are still running, which is the limit; wait for their results.",
            )
        validator = self._validators.setdefault(tool.name, Draft202012Validator(tool.parameters))
        error = best_match(validator.iter_errors(arguments))
        if error is None:
            return None
        where = ".".join(str(part) for part in error.absolute_path)
        place = f"The argument {where}" if where else f"The arguments of {tool.name}"
        return failed("invalid_arguments", f"{place}: {error.message}. Correct it and call again.")


def _parse(text: Any) -> tuple[Any, Outcome | None]:
    """The arguments as a JSON object, or the text as it came and why it is none."""
    if not isinstance(text, str):
        return {}, failed("invalid_arguments", "The call has no arguments. Call again with a JSON object.")
    if len(text) > MAX_ARGUMENTS_CHARS:
        return _storable(text[:MAX_ARGUMENTS_CHARS]), failed(
            "invalid_arguments", f"The arguments have {len(text)} characters; {MAX_ARGUMENTS_CHARS} is the limit."
        )
    try:
        arguments = _storable(_decode(text or "{}"))
    except (ValueError, RecursionError) as problem:
        return _storable(text), failed("invalid_arguments", f"The arguments are not JSON: {problem}. Call again.")
    if not isinstance(arguments, dict):
        return arguments, failed("invalid_arguments", "The arguments must be one JSON object. Call again.")
    return arguments, None


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) >= LARGEST_INTEGER:
        raise ValueError(f"{text[:24]}… is too large a number")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:24]} is no number that JSON can keep")
    return number


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_float).decode


def _storable(value: Any, depth: int = 0) -> Any:
    """Postgres keeps no NUL in JSON, and no half of a surrogate pair in any text."""
    if depth > MAX_ARGUMENTS_DEPTH:
        raise ValueError(f"nested deeper than {MAX_ARGUMENTS_DEPTH}")
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(part, depth + 1) for key, part in value.items()}
    return value


def _interrupted(name: str) -> Outcome:
    return failed(
        "response_interrupted",
        f"{name} was not run: the turn that asked for it was interrupted. Call it again if it is still wanted.",
    )
