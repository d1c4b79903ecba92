"""What is to run from now on."""

from __future__ import annotations

from ringback import Call, tool

NEW = "new"


@tool(queue="errands")
def kept(call: Call) -> list[str | int]:
    """Be in both."""
    return [NEW, call.attempt]


@tool(queue="errands")
async def added(call: Call) -> list[str | int]:
    """Be in the new one alone."""
    return [NEW, call.attempt]


@tool(queue="errands")
def changed(order_id: str, reason: str, call: Call) -> list[str | int]:
    """Take one argument more."""
    return [NEW, call.attempt]


@tool(queue="errands", effect="at_most_once")
def paid(amount: int, currency: str, call: Call) -> list[str | int]:
    """Take a currency as well."""
    return [NEW, call.attempt]


@tool(queue="errands", concurrency=2)
def limited(order_id: str, reason: str, call: Call) -> list[str | int]:
    """Take one argument more, at its gate."""
    return [NEW, call.attempt]
