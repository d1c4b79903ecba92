"""Tools for the tests of the command line: each ends in a way of its own."""

from __future__ import annotations

import asyncio
from datetime import date
from enum import Enum
from typing import Annotated

from pydantic import BaseModel, Field

from ringback import Breaker, Call, ToolError, tool


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    street: str
    number: int = 1


@tool(queue="bakery", concurrency=2, rate="30/m", burst=5, breaker=Breaker(3, 60))
def bake(
    cake: str,
    count: Annotated[int, Field(ge=1)] = 1,
    size: Size = Size.SMALL,
    when: date | None = None,
    to: Address | None = None,
    notes: list[str] = [],  # noqa: B006
) -> dict[str, object]:
    """Bake a cake.

    Args:
        cake: which one.
    """
    return {"cake": cake, "count": count, "size": size, "when": when, "to": to, "notes": notes}


@tool
async def who_asks(call: Call) -> str:
    """Tell who asks."""
    call.progress("looking")
    return f"{call.user} {call.claims.get('role')} {call.attempt}"


@tool
def refuse() -> None:
    """Say no."""
    raise ToolError("There is no flour; offer bread.", code="no_flour")


@tool
def crash() -> None:
    """Fail by accident."""
    raise KeyError("oven\ndoor")


@tool(timeout=0.01, effect="at_most_once")
async def dawdle() -> None:
    """Take too long."""
    await asyncio.Event().wait()


@tool(scopes=("bakery:keys",))
def lock_up(call: Call) -> list[str]:
    """Lock the door."""
    return list(call.claims["scopes"])


@tool
def nothing() -> None:
    """Return None."""
