"""`order_status`: slow on purpose. Its jobs have a queue of their own, and the model may speak while it runs."""

from __future__ import annotations

import asyncio
import os
import re
from typing import NamedTuple, TypedDict

from ringback import Call, ToolError, tool

DELAY = "RINGBACK_ORDER_DELAY"
"""Environment variable of the seconds that a look-up takes; a demo wants some, a test none."""
DEFAULT_DELAY_SECONDS = 3.0
STEPS = ("asked the warehouse", "asked the carrier")


class Order(NamedTuple):
    status: str
    eta: str


ORDERS = {
    "A-1001": Order("delivered", "yesterday"),
    "A-1007": Order("being packed", "in three days"),
    "A-1042": Order("out for delivery", "today before six in the evening"),
    "B-2200": Order("waiting for payment", "three days after it is paid"),
    "B-2301": Order("shipped", "tomorrow"),
    "C-3003": Order("cancelled", "never"),
}


class OrderStatus(TypedDict):
    order_id: str
    status: str
    eta: str
    summary: str


@tool(queue="slow", timeout=20, retries=2, say_after=3)
async def order_status(order_id: str, call: Call) -> OrderStatus:
    """Look up where an order is and when it arrives. This takes a few seconds.

    Args:
        order_id: the number on the receipt, such as "A-1042".
    """
    number = written(order_id)
    for step in STEPS:
        await asyncio.sleep(_delay() / len(STEPS))
        call.progress(step)
    order = ORDERS.get(number)
    if order is None:
        raise ToolError(f"There is no order {order_id}; ask for the number again.", code="order_not_found")
    return {
        "order_id": number,
        "status": order.status,
        "eta": order.eta,
        "summary": f"Order {number} is {order.status}; it should arrive {order.eta}."
        if order.status != "cancelled"
        else f"Order {number} was cancelled.",
    }


def written(order_id: str) -> str:
    """Return a number as it is written, "A-1042", from what was heard, "a 1042" for example."""
    heard = re.fullmatch(r"\s*([A-Za-z])\W*(\d{4})\W*", order_id)
    return f"{heard[1].upper()}-{heard[2]}" if heard else order_id.strip()


def _delay() -> float:
    return float(os.environ.get(DELAY, DEFAULT_DELAY_SECONDS))
