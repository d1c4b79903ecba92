"""Tools that take their time: one that says so meanwhile, and one that asks before it does anything.

`examples/rehearse_my_slow_tools.py` shows what a caller hears; docs/how-to/write-a-slow-tool.md explains each word.
"""

from __future__ import annotations

import asyncio
from datetime import date

from ringback import Call, tool

AIRLINES = ("Puffin Air", "Gull", "Stork")


@tool(
    queue="travel",
    timeout=40,
    say_after=3,  # a caller who hears silence for longer wonders
    say_every=8,  # no `say`: the model finds its own words, with what the tool reports
    drop_after=120,
)
async def find_flights(to: str, on: date, call: Call) -> dict[str, int]:
    """Find flights from here; the prices are in euros.

    Args:
        to: the city.
        on: the day of departure.
    """
    prices: dict[str, int] = {}
    for number, airline in enumerate(AIRLINES, 1):
        await asyncio.sleep(4)  # here a real tool waits for another server
        prices[f"{airline[0]}{100 * number}"] = 90 + 10 * number
        call.progress(f"{number} of {len(AIRLINES)} airlines have answered")
    return prices


@tool(
    queue="travel",
    timeout=20,
    effect="at_most_once",  # it must not run twice
    requires_approval=True,  # and not at all before the caller has said yes
    say_after=2,
    say="I am booking it now.",
)
async def book_flight(number: str, call: Call) -> dict[str, str]:
    """Book a flight.

    Args:
        number: as find_flights gave it.
    """
    await asyncio.sleep(3)
    return {"booked": number, "for": call.user}
