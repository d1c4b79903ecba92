"""What ran until now."""

from __future__ import annotations

from ringback import Call, tool

OLD = "old"


@tool(queue="errands")
def kept(call: Call) -> list[str | int]:
    """Be in both."""
    return [OLD, call.attempt]


@tool(queue="errands")
def removed(call: Call) -> list[str | int]:
    """Be in the old one alone."""
    return [OLD, call.attempt]


@tool(queue="errands")
def changed(order_id: str, call: Call) -> list[str | int]:
    """Take one argument."""
    return [OLD, call.attempt]


@tool(queue="errands", effect="at_most_once")
def paid(amount: int, call: Call) -> list[str | int]:
    """Take a number."""
    return [OLD, call.attempt]


@tool(queue="errands", concurrency=2)
def limited(order_id: str, call: Call) -> list[str | int]:
    """Take one argument, at its gate."""
    return [OLD, call.attempt]
