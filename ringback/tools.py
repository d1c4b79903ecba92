"""`@tool`: a typed function becomes something that a voice model can call.

    @tool(queue="orders", timeout=20, retries=2)
    async def order_status(order_id: str, call: Call) -> dict[str, str]:
        "Look up where an order is."

The declaration is checked where it stands: a module with a tool that no model could call does not import.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, overload

from pydantic import BaseModel

from ringback.errors import DeclarationError
from ringback.jobs import Effect
from ringback.schema import arguments_model, call_parameter, describe, parameters_schema

DEFAULT_QUEUE = "default"
DEFAULT_TIMEOUT = 15.0
"""Seconds. A caller who hears nothing for longer hangs up."""
MAX_TIMEOUT = 3_300.0
"""Seconds. A Realtime session ends after 60 minutes; a job that outlives it answers nobody."""
MAX_RETRIES = 10

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # What the Realtime API takes as a function's name.
_QUEUE = re.compile(r"[a-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Announcement:
    """All that a gateway needs to know of a tool: what workers write into Postgres, without any code.

    Args:
        name: the function's name, as the model calls it.
        description: what the model is told it does.
        parameters: the JSON schema of the arguments.
        queue: the Celery queue its jobs go to.
        timeout: seconds that one attempt may run.
        retries: how many more attempts a failed one may be followed by.
        effect: what running it twice would mean.
        say_after: seconds after which the model may be asked to say that it is still at it; None: never.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    queue: str = DEFAULT_QUEUE
    timeout: float = DEFAULT_TIMEOUT
    retries: int = 0
    effect: Effect = Effect.PURE
    say_after: float | None = None

    @property
    def version(self) -> str:
        """Twelve characters that change when the declaration changes."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def for_model(self) -> dict[str, Any]:
        """The entry in `session.tools` (Realtime API, session.update)."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }


@dataclass(frozen=True, slots=True)
class Tool:
    """A declared tool: its announcement, and the function behind it. Calling it calls the function."""

    announcement: Announcement
    function: Callable[..., Any]
    arguments: type[BaseModel]
    call_parameter: str | None = field(default=None)

    @property
    def name(self) -> str:
        return self.announcement.name

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    queue: str = ...,
    timeout: float = ...,
    retries: int = ...,
    effect: str = ...,
    say_after: float | None = ...,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = DEFAULT_QUEUE,
    timeout: float = DEFAULT_TIMEOUT,
    retries: int = 0,
    effect: str = Effect.PURE,
    say_after: float | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Declare a function as a tool.

    Args:
        function: the function, where the decorator is written without brackets.
        name: what the model calls it; the function's own name unless given.
        queue: the Celery queue its jobs go to; workers choose the queues they serve.
        timeout: seconds that one attempt may run.
        retries: how many more attempts may follow one that failed.
        effect: "pure", "idempotent" or "at_most_once": what running it twice would mean.
        say_after: seconds after which the model may be asked to say that it is still at it.

    Raises:
        DeclarationError: the declaration cannot be offered to a model; the text says what to change.
    """

    def declare(function: Callable[..., Any]) -> Tool:
        model = arguments_model(function)
        announcement = Announcement(
            name=name or function.__name__,
            description=describe(function)[0],
            parameters=parameters_schema(model),
            queue=queue,
            timeout=timeout,
            retries=retries,
            effect=_effect(function, effect),
            say_after=say_after,
        )
        _check(announcement)
        return Tool(announcement, function, model, call_parameter(function))

    return declare if function is None else declare(function)


def _effect(function: Callable[..., Any], effect: str) -> Effect:
    try:
        return Effect(effect)
    except ValueError:
        known = ", ".join(f'"{known}"' for known in Effect)
        raise DeclarationError(f"{function.__name__}: effect={effect!r} is none of {known}.") from None


def _check(tool: Announcement) -> None:
    rules: list[tuple[bool, str]] = [
        (bool(_NAME.fullmatch(tool.name)), "its name may have 1 to 64 letters, digits, _ and -; pass name=…"),
        (bool(tool.description), "give it a docstring: the model chooses a tool by what it reads there."),
        (bool(_QUEUE.fullmatch(tool.queue)), f"queue={tool.queue!r}: use 1 to 64 of a-z, 0-9, _, . and -."),
        (
            0 < tool.timeout <= MAX_TIMEOUT,
            f"timeout={tool.timeout}: use seconds above 0, up to {MAX_TIMEOUT:.0f}.",
        ),
        (0 <= tool.retries <= MAX_RETRIES, f"retries={tool.retries}: use 0 to {MAX_RETRIES}."),
        (
            not (tool.effect is Effect.AT_MOST_ONCE and tool.retries),
            "an at_most_once tool is never run again; leave out retries, or make it idempotent.",
        ),
        (
            tool.say_after is None or tool.say_after > 0,
            f"say_after={tool.say_after}: use seconds above 0, or None.",
        ),
    ]
    for holds, sentence in rules:
        if not holds:
            raise DeclarationError(f"{tool.name}: {sentence}")
