"""A tool run in this process: its arguments read, its result and its errors put into words as a worker does it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from ringback.config.scopes import missing
from ringback.errors import ToolError
from ringback.jobs.outcomes import succeeded
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from workers.execution.results import arguments_for, as_data
from workers.execution.retry_policy import DeadlineExceeded, Verdict, not_allowed, on_problem


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is to become of the call, and what the tool raised, if it raised something."""

    verdict: Verdict
    problem: Exception | None = None

    @property
    def fault(self) -> Exception | None:
        """What was not raised on purpose: the model hears its kind alone, the author wants to see all of it."""
        on_purpose = ToolError | DeadlineExceeded
        return None if isinstance(self.problem, on_purpose) else self.problem


async def attempt(tool: Tool, arguments: Mapping[str, Any], call: Call, max_attempts: int = 1) -> Attempt:
    """One attempt; `call.attempt` says which."""
    announced = tool.announcement
    if missing(announced.manners.scopes, call.claims):
        return Attempt(not_allowed(tool.name))
    try:
        given = arguments_for(tool, dict(arguments))
        return Attempt(succeeded(as_data(await _returned(tool, given, call), tool.name)))
    except Exception as problem:
        verdict = on_problem(
            problem,
            attempt=call.attempt,
            max_attempts=max_attempts,
            effect=announced.effect,
            first_pause=announced.limits.backoff,
        )
        return Attempt(verdict, problem)


async def _returned(tool: Tool, given: dict[str, Any], call: Call) -> Any:
    given |= {tool.call_parameter: call} if tool.call_parameter else {}
    limit = asyncio.timeout(tool.announcement.timeout)
    try:
        async with limit:
            result = tool.function(**given)  # What a plain function does here cannot be cut short.
            while isawaitable(result):
                result = await result
            return result
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded from None
        raise
