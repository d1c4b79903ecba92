"""`@tool`: declares a typed function as a tool that a voice model can call.

    @tool(queue="orders", timeout=20, retries=2)
    async def order_status(order_id: str, call: Call) -> dict[str, str]:
        "Look up where an order is."

The declaration is checked at import: a module with a tool that no model could call does not import.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, overload

from pydantic import BaseModel

from ringback.errors import DeclarationError
from ringback.jobs.states import Effect
from ringback.tools.behavior import Audience, Late, Limits, OnBargeIn, OnDuplicate, ToolBehavior
from ringback.tools.declaration import check, check_function, chosen, per_second
from ringback.tools.provider_schema import SchemaRefused
from ringback.tools.schema import arguments_model, call_parameter, describe, parameters_schema
from ringback.tools.spec import DEFAULT_QUEUE, DEFAULT_TIMEOUT, ToolSpec


@dataclass(frozen=True, slots=True)
class Breaker:
    """Circuit breaker: on all workers, the tool gets no calls once it has failed `failures` times in a row.

    After `seconds` one call is let through: if it succeeds, the breaker closes.
    """

    failures: int = 5
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Tool:
    """Declared tool: its specification, and the function behind it. Calling it calls the function."""

    announcement: ToolSpec
    function: Callable[..., Any]
    arguments: type[BaseModel] | None
    """None: the function takes the arguments as they fit the schema."""
    call_parameter: str | None = field(default=None)

    @property
    def name(self) -> str:
        return self.announcement.name

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


DECLARED: dict[tuple[str, str], Tool] = {}
"""Tools of each module's top level, by module and function, even if a decorator above `@tool` hides them."""


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    queue: str = ...,
    timeout: float = ...,
    retries: int = ...,
    backoff: float = ...,
    effect: str = Effect.PURE,
    concurrency: int | None = None,
    rate: str | None = None,
    burst: int = 1,
    breaker: Breaker | None = None,
    say_after: float | None = None,
    say: str | None = None,
    say_every: float | None = None,
    on_barge_in: str = OnBargeIn.CONTINUE,
    late: str = Late.WHEN_QUIET,
    drop_after: float | None = None,
    on_duplicate: str | None = None,
    cancellable: bool | None = None,
    requires_approval: bool = False,
    approval_seconds: float = ...,
    audience: str = Audience.MODEL,
    scopes: Sequence[str] = (),
    untrusted: bool = False,
    redact: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = DEFAULT_QUEUE,
    timeout: float = DEFAULT_TIMEOUT,
    retries: int = 0,
    backoff: float = 0.5,
    effect: str = Effect.PURE,
    concurrency: int | None = None,
    rate: str | None = None,
    burst: int = 1,
    breaker: Breaker | None = None,
    say_after: float | None = None,
    say: str | None = None,
    say_every: float | None = None,
    on_barge_in: str = OnBargeIn.CONTINUE,
    late: str = Late.WHEN_QUIET,
    drop_after: float | None = None,
    on_duplicate: str | None = None,
    cancellable: bool | None = None,
    requires_approval: bool = False,
    approval_seconds: float = 60.0,
    audience: str = Audience.MODEL,
    scopes: Sequence[str] = (),
    untrusted: bool = False,
    redact: Sequence[str] = (),
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Declare a function as a tool.

    Args:
        function: the function, if the decorator is written without brackets.
        name: what the model calls it; the function's name unless given.
        queue: the Celery queue its jobs go to; workers choose the queues they serve.
        timeout: seconds that one attempt may run.
        retries: how many more attempts may follow one that failed.
        backoff: seconds before the second attempt; each further pause is twice as long.
        effect: "pure", "idempotent" or "at_most_once": what running it twice would mean.
        concurrency: calls that run at once, over all workers.
        rate: calls that may begin, over all workers, such as "10/s", "30/m" or "500/h".
        burst: calls that may begin at once after a quiet time, if there is a rate; one by one unless given.
        breaker: after how many failures in a row it gets no calls, and for how long.
        say_after: seconds after which the user is told that it is still running.
        say: the words for that; the model finds its own unless given.
        say_every: seconds from one such filler to the next; once unless given.
        on_barge_in: "continue" or "cancel", when the user begins to speak meanwhile.
        late: "speak", "when_quiet" or "silent": how a result is brought up after the user has said something else.
        drop_after: seconds after which a result is out of date, and not told any more.
        on_duplicate: "join", "reject", "allow" or "replace", for the same call while one runs; "join" unless given, and
            "reject" for an at_most_once tool.
        cancellable: whether the user may have it cancelled; yes unless given, and no for an at_most_once tool.
        requires_approval: the user must approve it before it may start.
        approval_seconds: how long the gateway waits for that.
        audience: "model", "client" or "both": who sees a result.
        scopes: what the user must hold, such as ("orders:write",); for others the tool does not exist.
        untrusted: the result holds text from outside, such as a web page: a tool that changes something then needs
            approval.
        redact: arguments, and fields of the result, that are stored nowhere in clear text: ("iban", "result.iban").

    Raises:
        DeclarationError: the declaration cannot be offered to a model; the text says what to change.
    """

    declared = partial(
        _declare,
        name=name,
        queue=queue,
        timeout=timeout,
        retries=retries,
        effect=effect,
        limits={"concurrency": concurrency, "backoff": backoff, "rate": rate, "burst": burst, "breaker": breaker},
        behavior={
            "say_after": say_after,
            "say": say,
            "say_every": say_every,
            "on_barge_in": on_barge_in,
            "late": late,
            "drop_after": drop_after,
            "on_duplicate": on_duplicate,
            "cancellable": cancellable,
            "requires_approval": requires_approval,
            "approval_seconds": approval_seconds,
            "audience": audience,
            "scopes": scopes,
            "is_untrusted": untrusted,
            "redact": redact,
        },
    )
    return declared if function is None else declared(function)


def _declare(
    function: Callable[..., Any],
    *,
    name: str | None,
    effect: str,
    limits: dict[str, Any],
    behavior: dict[str, Any],
    **fields: Any,
) -> Tool:
    check_function(function)
    label = function.__name__ if name is None else name
    kind = chosen(label, "effect", Effect, effect)
    model = arguments_model(function)
    try:
        parameters = parameters_schema(model)
    except SchemaRefused as problem:
        raise DeclarationError(f"{label}: {problem}.") from None
    announcement = ToolSpec(
        name=label,
        description=describe(function)[0],
        parameters=parameters,
        effect=kind,
        behavior=_behavior(label, kind, behavior),
        limits=_limits(label, **limits),
        **fields,
    )
    check(announcement)
    declared = Tool(announcement, function, model, call_parameter(function))
    if function.__qualname__ == function.__name__:
        DECLARED[function.__module__, function.__name__] = declared
    return declared


def _behavior(label: str, effect: Effect, said: dict[str, Any]) -> ToolBehavior:
    """Return the behavior. The effect decides what the author left open."""
    once = effect is Effect.AT_MOST_ONCE
    words: dict[str, Any] = {"on_barge_in": OnBargeIn, "late": Late, "on_duplicate": OnDuplicate, "audience": Audience}
    open_ones = {"on_duplicate": OnDuplicate.REJECT if once else OnDuplicate.JOIN, "cancellable": not once}
    said = {**said, **{name: value for name, value in open_ones.items() if said[name] is None}}
    said |= {name: tuple(said[name]) for name in ("scopes", "redact") if isinstance(said[name], list | tuple)}
    return ToolBehavior(
        **{name: chosen(label, name, words[name], said[name]) if name in words else said[name] for name in said}
    )


def _limits(
    label: str, concurrency: int | None, backoff: float, rate: str | None, burst: int, breaker: Breaker | None
) -> Limits:
    limits = Limits(concurrency=concurrency, backoff=backoff, burst=burst)
    if rate is not None:
        limits = replace(limits, rate=per_second(label, rate))
    if breaker is None:
        return limits
    if not isinstance(breaker, Breaker):
        raise DeclarationError(f"{label}: breaker={breaker!r}: use Breaker(failures=…, seconds=…), or None.")
    return replace(limits, breaker_failures=breaker.failures, breaker_seconds=breaker.seconds)
