"""A tool whose first attempt at some orders goes wrong, and which has a span of its own."""

from __future__ import annotations

import os
import signal

from opentelemetry import trace

from ringback import Call, tool

WORDS = "words-of-nobody-elses-business"


@tool(queue="slow", timeout=60, retries=2)
async def order_status(order_id: str, call: Call) -> dict[str, str]:
    """Look up where an order is. The first attempt at one of R fails; at one of K the worker is killed."""
    shop = trace.get_tracer("the shop")
    with shop.start_as_current_span("ask the bakery", record_exception=False, set_status_on_exception=False):
        if call.attempt == 1 and order_id.startswith("R"):
            raise ConnectionError(WORDS)
        if call.attempt == 1 and order_id.startswith("K"):
            os.kill(os.getpid(), signal.SIGKILL)
    return {"order_id": order_id, "status": "baked", "eta": "today", "summary": WORDS}
