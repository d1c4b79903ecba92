"""Search of the console: filters for jobs, also by their session and by values inside their arguments.

What is searched is what the history shows: redacted and encrypted arguments are not in it (`ringback.privacy`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, Field

from ringback.history.pagination import JobQuery, Name, printable

MAX_ARGUMENTS = 5
"""Filters on arguments in one search."""
MAX_DEPTH = 5
"""Names in the path of an argument."""
MAX_VALUE = 200
"""Characters of a value that is looked for."""
SUGGESTED_VALUE = 80
"""Characters of the longest value that is suggested: a longer one is text, and no choice."""


class Argument(NamedTuple):
    """One value inside the arguments: `address.city` is `("address", "city")`."""

    path: tuple[str, ...]
    value: str

    @property
    def documents(self) -> list[Any]:
        """JSON documents of which the arguments must contain one: `3` is looked for as a number and as text."""
        found: list[Any] = [self.value]
        try:
            plain = json.loads(self.value)
        except ValueError:
            plain = None
        if isinstance(plain, bool | int | float) and abs(plain) < 1e15:
            found.append(plain)
        for name in reversed(self.path):
            found = [{name: value} for value in found]
        return found


def _checked(arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
    for argument in arguments:
        if not argument.path or len(argument.path) > MAX_DEPTH or not all(argument.path):
            raise ValueError("a path has one to five names")
        if not argument.value or len(argument.value) > MAX_VALUE:
            raise ValueError("a value has 1 to 200 characters")
        printable("".join((*argument.path, argument.value)))
    return arguments


class JobSearch(JobQuery):
    """Filters for jobs: a job must fit all of them."""

    id: UUID | None = Field(None, description="a job's id")
    agent: Name | None = Field(None, description="an agent's name")
    user: Name | None = Field(None, description="a user's name")
    args: Annotated[tuple[Argument, ...], AfterValidator(_checked)] = Field(
        (), max_length=MAX_ARGUMENTS, description="at most five values, such as args.city:London"
    )
    within: tuple[UUID, ...] | None = Field(None, description="the only sessions whose jobs may fit")

    @property
    def is_residual(self) -> bool:
        """Whether a filter has no index of its own, so that jobs are read to find those that fit."""
        return bool(self.args or (self.within is None and (self.agent or self.user)))


def leaves(arguments: Any, path: tuple[str, ...] = ()) -> Iterator[Argument]:
    """Yield each value inside the arguments that can be searched for, with its path."""
    if isinstance(arguments, dict) and len(path) < MAX_DEPTH:
        for name, value in arguments.items():
            yield from leaves(value, (*path, name))
    elif path and isinstance(arguments, str | int | float | bool):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        if text and len(text) <= SUGGESTED_VALUE and text.isprintable():
            yield Argument(path, text)
