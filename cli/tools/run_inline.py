"""Runs a tool in this process; arguments, result and errors are converted as in a worker."""

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
    """Verdict on the call, and the exception that the tool raised, if any."""

    verdict: Verdict
    problem: Exception | None = None

    @property
    def fault(self) -> Exception | None:
        """The unexpected exception: the model is told only that the tool failed, the author sees all of it."""
        on_purpose = ToolError | DeadlineExceeded
        return None if isinstance(self.problem, on_purpose) else self.problem


async def attempt(tool: Tool, arguments: Mapping[str, Any], call: Call, max_attempts: int = 1) -> Attempt:
    """Run one attempt; `call.attempt` is its number."""
    announced = tool.announcement
    if missing(announced.behavior.scopes, call.claims):
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
            result = tool.function(**given)  # A plain function cannot be interrupted here.
            while isawaitable(result):
                result = await result
            return result
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded from None
        raise
